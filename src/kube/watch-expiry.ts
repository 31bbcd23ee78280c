/**
 * Until when a process's access to the API server, and the certificates that it serves with, are
 * good: looked at at once and every hour, for all of them are renewed by others.
 */

import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { Expiry } from '../model/snapshot.ts'
import { certificateExpiry, credentialExpiries } from './credential-expiry.ts'
import type { Kubeconfig } from './kubeconfig.ts'

export interface ExpiryWatch {
  readonly all: readonly Expiry[]
  close(): Promise<void>
}

const LOOK_MILLISECONDS = 3_600_000

/** What cannot be read now is told by whoever uses it. */
export function watchExpiry(options: {
  readonly kubeconfig: Kubeconfig
  /** Certificates of its own, each with the file that it lies in. */
  readonly served: readonly { readonly what: string; readonly file: string }[]
  readonly clock: Clock
  readonly log: Log
  readonly onChange: () => void
}): ExpiryWatch {
  const { served, kubeconfig, clock, log, onChange } = options
  let all: readonly Expiry[] = []
  const loop = new Loop({
    clock,
    everyMilliseconds: LOOK_MILLISECONDS,
    run: async () => {
      const own = served.flatMap(({ what, file }) => certificateExpiry(what, readFileIfPresent(file)))
      all = [...(await credentialExpiries(kubeconfig)), ...own]
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
