/**
 * Until when a process's access to the API server, and the certificate of its status interface, are
 * good: looked at at once and every hour, for all of them are renewed by others.
 */
import { certificateExpiry, credentialExpiries } from '../kube/credential-expiry.ts'
import type { Kubeconfig } from '../kube/kubeconfig.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { Expiry } from '../model/snapshot.ts'

export interface ExpiryWatch {
  readonly all: readonly Expiry[]
  close(): Promise<void>
}

const LOOK_MILLISECONDS = 3_600_000

/** What cannot be read now is told by whoever uses it. */
export function watchExpiry(options: {
  readonly status: { readonly tls?: { readonly certificate: string } | undefined }
  readonly kubeconfig: Kubeconfig
  readonly clock: Clock
  readonly log: Log
  readonly onChange: () => void
}): ExpiryWatch {
  const { status, kubeconfig, clock, log, onChange } = options
  let all: readonly Expiry[] = []
  const loop = new Loop({
    clock,
    everyMilliseconds: LOOK_MILLISECONDS,
    run: async () => {
      const own = status.tls && readFileIfPresent(status.tls.certificate)
      const served = certificateExpiry('certificate of the status interface (status.tls)', own)
      all = [...(await credentialExpiries(kubeconfig)), ...served]
      onChange()
    },
    onError: error => log.debug({ detail: errorText(error) }, 'credentials cannot be read'),
  })
  loop.wake()
  return {
    get all() {
      return all
    },
    close: () => loop.close(),
  }
}
