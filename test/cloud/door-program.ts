/**
 * Compiled as the executable is: calls the cloud as its first argument says and prints the answers,
 * a line of JSON each.
 */
import type { CloudAction } from '../../src/cloud/actions.ts'
import { createCloudApi } from '../../src/cloud/door.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'

interface Wish {
  readonly endpoint: string
  readonly keys: { readonly id: string; readonly secret: string; readonly token?: string }
  readonly timeoutMilliseconds?: number
  readonly calls: readonly { action: CloudAction; parameters: Record<string, string>; token?: string }[]
}

const wish = JSON.parse(process.argv[2] ?? '') as Wish
const { id, secret, token } = wish.keys
const api = createCloudApi({
  credentials: {
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
for (const call of wish.calls) {
  const answer = await api.call({ regionID: 'cn-hangzhou', token: '', ...call })
  console.log(JSON.stringify(answer))
}
api.close()
