/**
 * What the controller loads when there is the first node of the cloud: the door to the cloud, its
 * credentials, the reconcile. Puts together what `controller-reconcile.ts` needs; decides nothing.
 */
import { readFileSync } from 'node:fs'
import type { CloudApi } from '../cloud/cloud-api.ts'
import type { CloudCredentials, CredentialChoice } from '../cloud/credentials.ts'
import { createCloudApi } from '../cloud/door.ts'
import type { KubeApi } from '../kube/api.ts'
import { type KubeObject, type KubeSecret, type ResourceType, SECRETS } from '../kube/resources.ts'
import { Secret } from '../lib/secret.ts'
import { createEniController, type EniController, type EniControllerOptions } from './controller-reconcile.ts'

/** As the configuration of the controller has it (`cloud`). */
export interface CloudConfig {
  readonly credentials?:
    | { readonly from: 'oidc'; readonly roleArn: string; readonly oidcProviderArn: string; readonly tokenFile: string }
    | { readonly from: 'secret'; readonly name: string }
    | { readonly from: 'ram-role'; readonly roleName?: string | undefined }
    | undefined
  readonly network: 'vpc' | 'public'
  readonly endpoints: { readonly [P in 'ecs' | 'vpc' | 'ens' | 'sts']?: string | undefined }
  readonly caFile?: string | undefined
  readonly clusterID?: string | undefined
  readonly degradation: EniControllerOptions['degradation']
}

export type StartOptions = Omit<EniControllerOptions, 'cloud' | 'clusterID' | 'collectGarbage' | 'degradation'> & {
  readonly config: CloudConfig
}

const NAMESPACES: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
}
const NAMESPACE = 'kube-system'

/** Throws when the API server does not say which cluster this is, or a file cannot be read. */
export async function startEniController({ config, ...options }: StartOptions): Promise<EniController> {
  const clusterID = config.clusterID ?? (await readClusterID(options.api))
  const cloud = openCloud(config, options)
  if (config.credentials?.from === 'ram-role')
    options.log.warn(
      {},
      'the RAM role of the instance gives the credentials: pods of that instance could ask for them too',
    )
  const collectGarbage = () => Bun.gc(true)
  return createEniController({ ...options, cloud, clusterID, collectGarbage, degradation: config.degradation })
}

/** The uid of kube-system is that of the cluster: it is made with it, and never again. */
async function readClusterID(api: KubeApi): Promise<string> {
  const namespace = await api.get<KubeObject>(NAMESPACES, NAMESPACE)
  const uid = namespace?.metadata.uid
  if (uid === undefined)
    throw new Error(`the namespace ${NAMESPACE} has no uid: set cloud.clusterID in the configuration`)
  return uid
}

function openCloud(config: CloudConfig, { api, clock }: Pick<StartOptions, 'api' | 'clock'>): CloudApi {
  const { credentials, network, endpoints, caFile } = config
  if (credentials === undefined) return noCredentials
  const { sts, ...overrides } = endpoints
  return createCloudApi({
    credentials: chooseCredentials(credentials, api, sts),
    endpoints: {
      network,
      overrides: Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined)),
    },
    clock,
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }),
  })
}

/** Everything else of the controller goes on; each node says what is missing. */
const noCredentials: CloudApi = {
  call: async () => ({
    kind: 'not-sent',
    reason: 'no credentials: the configuration of the controller has no cloud.credentials',
  }),
  close() {},
}

function chooseCredentials(
  from: NonNullable<CloudConfig['credentials']>,
  api: KubeApi,
  stsEndpoint: string | undefined,
): CredentialChoice {
  switch (from.from) {
    case 'oidc':
      return { ...from, ...(stsEndpoint === undefined ? {} : { stsEndpoint }) }
    case 'ram-role':
      return { from: 'ram-role', ...(from.roleName === undefined ? {} : { roleName: from.roleName }) }
    case 'secret':
      return { from: 'keys', read: () => readSecret(api, from.name) }
  }
}

async function readSecret(api: KubeApi, name: string): Promise<CloudCredentials> {
  const data = (await api.get<KubeSecret>(SECRETS, name, NAMESPACE))?.data
  if (data === undefined) throw new Error(`there is no Secret ${NAMESPACE}/${name}`)
  const text = (key: string) =>
    data[key] === undefined
      ? undefined
      : Buffer.from(data[key] ?? '', 'base64')
          .toString()
          .trim()
  const [id, secret, token] = [text('accessKeyId'), text('accessKeySecret'), text('securityToken')]
  if (id === undefined || id === '' || secret === undefined || secret === '')
    throw new Error(`the Secret ${NAMESPACE}/${name} needs the keys accessKeyId and accessKeySecret`)
  return {
    accessKeyID: id,
    accessKeySecret: new Secret(secret),
    securityToken: token === undefined ? undefined : new Secret(token),
  }
}
