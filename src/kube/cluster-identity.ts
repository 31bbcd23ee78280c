/**
 * Which cluster a kubeconfig leads to, as far as that can be told without asking it: the server's
 * URL and a digest of the CA. A state folder that says another one in both holds the routes of
 * another network.
 */
import { createHash } from 'node:crypto'
import { type Clock, sleep } from '../lib/clock.ts'
import type { ClusterIdentity } from './cluster-state.ts'
import type { Kubeconfig } from './kubeconfig.ts'

/**
 * An authenticator that must reach somebody first is not waited for: a node boots without anybody.
 */
const PATIENCE_MILLISECONDS = 2000

/** Undefined where it cannot be told. Never throws. */
export async function clusterIdentity(kubeconfig: Kubeconfig, clock: Clock): Promise<ClusterIdentity | undefined> {
  const enough = new AbortController()
  try {
    const read = kubeconfig.credentials().then(({ tls }) => tls?.ca)
    const ca = await Promise.race([read, sleep(clock, PATIENCE_MILLISECONDS, enough.signal).then(() => undefined)])
    const digest = ca === undefined ? {} : { ca: createHash('sha256').update(ca.trim()).digest('hex') }
    return { server: kubeconfig.server, ...digest }
  } catch {
    return undefined // the first request says what is wrong
  } finally {
    enough.abort()
  }
}
