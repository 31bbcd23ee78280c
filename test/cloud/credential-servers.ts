/**
 * A program for a network namespace of its own: the simulated OpenAPI on 127.0.0.1:8080, the
 * metadata service of an instance with a RAM role on 100.100.100.200, and the security token
 * service, with TLS, on 127.0.0.1:8443. Says `ready`; on a line of stdin it tells what was asked of
 * it. Arguments: folder of `cert.pem`, `key.pem` and `token`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MetadataService } from '../../src/cloudsim/metadata.ts'
import { serveCloud, serveMetadata } from '../../src/cloudsim/serve.ts'
import { SecurityTokenService } from '../../src/cloudsim/sts.ts'
import type { SimAccessKey } from '../../src/cloudsim/types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { simulator, ZONE } from './world.ts'

const folder = process.argv[2] ?? ''
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const role: SimAccessKey = { id: 'STS.role', secret: 'a secret of the role', securityToken: 'token of the role/+=' }
const accessKeys = [role]
const sim = simulator(systemClock, { accessKeys })
const instance = { id: 'i-1', product: 'ecs', type: 'ecs.g7.xlarge', vpcID: 'vpc-1', zoneID: ZONE } as const
sim.world.addInstance(instance, 'vsw-node')
const metadata = new MetadataService({
  world: sim.world,
  instanceID: 'i-1',
  clock: systemClock,
  role: { name: 'node-role', key: role, lifetimeSeconds: 3600 },
})
const asked: string[] = []
const sts = new SecurityTokenService({
  clock: systemClock,
  roleArn: 'acs:ram::1:role/terway-edge',
  oidcProviderArn: 'acs:ram::1:oidc-provider/c1',
  token: () => read('token'),
  onKey: key => void accessKeys.push(key),
})
await serveCloud(sim, { hostname: '127.0.0.1', port: 8080 })
serveMetadata(
  () => ({
    fetch: request => {
      asked.push(`${request.method} ${new URL(request.url).pathname}`)
      return metadata.fetch(request)
    },
  }),
  { hostname: '100.100.100.200', port: 80 },
)
Bun.serve({
  hostname: '127.0.0.1',
  port: 8443,
  tls: { cert: read('cert.pem'), key: read('key.pem') },
  fetch: request => sts.fetch(request),
})
console.log('ready')
for await (const _line of console) console.log(JSON.stringify({ metadata: asked, sts: sts.outcomes }))
