/**
 * Compiled as the executable is: calls the cloud as its first argument says and prints the answers,
 * a line of JSON each.
 */
import type { CloudAction } from '../../src/cloud/actions.ts'
import type { CredentialChoice } from '../../src/cloud/credentials.ts'
import { createCloudApi } from '../../src/cloud/door.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'

interface Wish {
  readonly endpoint: string
  readonly keys?: { readonly id: string; readonly secret: string; readonly token?: string }
  /** In place of keys. */
  readonly credentials?: CredentialChoice
  /** How often the first call is made at the same time, before all of them one after the other. */
  readonly atOnce?: number
  readonly timeoutMilliseconds?: number
  readonly calls: readonly { action: CloudAction; parameters: Record<string, string>; token?: string }[]
}

const wish = JSON.parse(process.argv[2] ?? '') as Wish
const { id = '', secret = '', token } = wish.keys ?? {}
const api = createCloudApi({
  credentials: wish.credentials ?? {
    from: 'keys',
    read: async () => ({
      accessKeyID: id,
      accessKeySecret: new Secret(secret),
      securityToken: token === undefined ? undefined : new Secret(token),
    }),
  },
  endpoints: { network: 'vpc', overrides: { ecs: `http://${wish.endpoint}`, vpc: wish.endpoint, ens: wish.endpoint } },
  clock: systemClock,
  ...(wish.timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds: wish.timeoutMilliseconds }),
})
const make = async (call: Wish['calls'][number] | undefined) => {
  if (call !== undefined) console.log(JSON.stringify(await api.call({ regionID: 'cn-hangzhou', token: '', ...call })))
}
await Promise.all(Array.from({ length: wish.atOnce ?? 0 }, () => make(wish.calls[0])))
for (const call of wish.calls) await make(call)
api.close()
