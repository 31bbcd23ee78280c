/**
 * The CustomResourceDefinitions, embedded: installed by server-side apply where the controller has
 * the rights, else only looked for. With neither CRDs nor rights, the message says what an
 * administrator is to run.
 */
import bgpPeers from '../../config/crd-bgppeers.yaml' with { type: 'text' }
import eniNodes from '../../config/crd-eninodes.yaml' with { type: 'text' }
import routeSlices from '../../config/crd-routeslices.yaml' with { type: 'text' }
import { ApiError, type KubeApi } from '../kube/api.ts'
import { BGP_PEER_RULES } from '../kube/bgp-peer-schema.ts'
import { BGP_PEERS, CUSTOM_RESOURCE_DEFINITIONS, type KubeObject } from '../kube/resources.ts'
import { parseYaml } from '../lib/yaml.ts'
import { FIELD_MANAGER } from './field-manager.ts'

interface CustomResourceDefinition extends KubeObject {
  readonly spec: {
    readonly names: { readonly kind: string }
    readonly versions: readonly {
      readonly schema: { readonly openAPIV3Schema: { readonly properties: Readonly<Record<string, object>> } }
    }[]
  }
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

/** Makes sure that all CRDs are served. Throws `Error` with what to do where they cannot be. */
export async function ensureCrds(api: KubeApi): Promise<'installed' | 'found'> {
  const results = await Promise.all([bgpPeers, routeSlices, eniNodes].map(text => ensureCrd(api, text)))
  return results.includes('installed') ? 'installed' : 'found'
}

async function ensureCrd(api: KubeApi, text: string): Promise<'installed' | 'found'> {
  const wanted = parseYaml(text, 'an embedded CRD') as CustomResourceDefinition
  const { name } = wanted.metadata
  try {
    const applied = await applyWithRules(api, wanted)
    if (!isServed(applied)) throw new Error(`the CRD ${name} is not served yet`)
    return 'installed'
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error
  }
  const found = await api.get<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITIONS, name).catch((error: unknown) => {
    // may not even look: the caches tell whether it is there
    if (error instanceof ApiError && error.status === 403) return wanted
    throw error
  })
  if (found !== undefined) return 'found'
  throw new Error(
    `the CRD ${name} is missing and may not be installed; run: terway-edge manifests --part crds | kubectl apply -f -`,
  )
}

/** With the rules in CEL, and where the server does not know such a field (before 1.25) without. */
async function applyWithRules(api: KubeApi, wanted: CustomResourceDefinition): Promise<CustomResourceDefinition> {
  const apply = (definition: CustomResourceDefinition) =>
    api.apply(CUSTOM_RESOURCE_DEFINITIONS, definition, { fieldManager: FIELD_MANAGER, force: true })
  if (wanted.spec.names.kind !== BGP_PEERS.kind) return apply(wanted)
  try {
    return await apply(withRules(wanted))
  } catch (error) {
    if (error instanceof ApiError && (error.status === 0 || error.status === 403)) throw error
    return apply(wanted)
  }
}

function withRules(definition: CustomResourceDefinition): CustomResourceDefinition {
  const versions = definition.spec.versions.map(version => {
    const { openAPIV3Schema: schema } = version.schema
    const spec = { ...schema.properties.spec, 'x-kubernetes-validations': BGP_PEER_RULES }
    return { ...version, schema: { openAPIV3Schema: { ...schema, properties: { ...schema.properties, spec } } } }
  })
  return { ...definition, spec: { ...definition.spec, versions } }
}

function isServed(definition: CustomResourceDefinition): boolean {
  return (definition.status?.conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True')
}
