/**
 * Tries a kubeconfig before it is relied on: does the server answer, does it know who we are, may
 * we read what the role reads. Asks for one object, so that it costs nothing on a metered line.
 */
import { sleep, systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { silentLog } from '../lib/log.ts'
import { ApiError } from './api.ts'
import { createKubeApi } from './client.ts'
import { loadKubeconfig } from './kubeconfig.ts'
import type { ResourceType } from './resources.ts'

const PATIENCE_MILLISECONDS = 10_000
/** That there is none, or not even its kind, is an answer too. */
const NAME = 'terway-edge-asks'

/**
 * Why `file` does not work for reading `type`, or undefined. Throws `UserError` when it is no
 * kubeconfig. `loadOnly`: the server is not asked.
 */
export async function problemOfKubeconfig(
  file: string,
  type: ResourceType,
  { loadOnly = false } = {},
): Promise<string | undefined> {
  const kubeconfig = loadKubeconfig(file)
  if (loadOnly) return undefined
  const api = createKubeApi({ kubeconfig, clock: systemClock, log: silentLog })
  const answered = new AbortController()
  try {
    const tooLong = sleep(systemClock, PATIENCE_MILLISECONDS, answered.signal).then(() => {
      throw new ApiError(`the API server ${api.server} does not answer within ${PATIENCE_MILLISECONDS / 1000} s`, {
        status: 0,
      })
    })
    tooLong.catch(() => {}) // the other may have been first
    await Promise.race([api.get(type, NAME), tooLong])
    return undefined
  } catch (error) {
    const roles = 'are the roles applied? terway-edge manifests prints them'
    return error instanceof ApiError && error.status === 403 ? `${error.message}; ${roles}` : errorText(error)
  } finally {
    answered.abort()
    api.close()
  }
}
