/** Whether a process does after an upgrade what it did before, by its snapshots. Pure. */
import type { Snapshot } from '../model/snapshot.ts'

type Seen = Pick<Snapshot, 'ready' | 'problems' | 'sessions' | 'routes' | 'version'>

/** What has to be so again. */
export interface Before {
  readonly ready: boolean
  /** BGPPeers with an established session. */
  readonly up: readonly string[]
  /** Destinations of routes that were there. */
  readonly present: readonly string[]
}

export function beforeOf({ ready, sessions, routes }: Seen): Before {
  return {
    ready,
    up: sessions.filter(({ state }) => state === 'Established').map(({ bgpPeer }) => bgpPeer),
    present: routes.filter(({ state }) => state === 'present').map(({ destination }) => destination),
  }
}

/**
 * What is not back yet, a line each; empty: all of it is. `before` undefined: nothing ran before,
 * so that it answers is enough. `version` is the one that should run.
 */
export function notBack(before: Before | undefined, after: Seen | undefined, version: string): string[] {
  if (after === undefined) return ['it does not answer']
  if (after.version !== version) return [`version ${after.version} answers`]
  if (before === undefined) return []
  return [
    ...(before.ready && !after.ready ? [`it is not ready: ${after.problems.join('; ') || 'it does not say why'}`] : []),
    ...sessionsNotBack(before, after),
    ...routesNotBack(before, after),
  ]
}

/**
 * A session that the cluster does not want any more is not missed: only one that is there and not
 * up.
 */
function sessionsNotBack(before: Before, after: Seen): string[] {
  const up = new Set(before.up)
  return after.sessions
    .filter(({ bgpPeer, state }) => up.has(bgpPeer) && state !== 'Established')
    .map(({ bgpPeer, peerIP, state }) => `the session of BGPPeer ${bgpPeer} with ${peerIP} is ${state}`)
}

function routesNotBack(before: Before, after: Seen): string[] {
  const present = new Set(before.present)
  const lost = after.routes.filter(({ destination, state }) => present.has(destination) && state !== 'present')
  return lost.map(({ destination, state }) => `the route to ${destination} is ${state}`)
}
