/**
 * The CustomResourceDefinitions, embedded: installed by server-side apply where the controller has the rights, else only looked for. With neither
 * CRDs nor rights, the message says what an administrator is to run.
 */
import bgpPeers from '../../config/crd-bgppeers.yaml' with { type: 'text' }
import eniNodes from '../../config/crd-eninodes.yaml' with { type: 'text' }
import routeSlices from '../../config/crd-routeslices.yaml' with { type: 'text' }
import { ApiError, type KubeApi } from '../kube/api.ts'
import { CUSTOM_RESOURCE_DEFINITIONS, type KubeObject } from '../kube/resources.ts'
import { FIELD_MANAGER } from './field-manager.ts'

interface CustomResourceDefinition extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

/** Makes sure that all CRDs are served. Throws `Error` with what to do where they cannot be. */
export async function ensureCrds(api: KubeApi): Promise<'installed' | 'found'> {
  const results = await Promise.all([bgpPeers, routeSlices, eniNodes].map(text => ensureCrd(api, text)))
  return results.includes('installed') ? 'installed' : 'found'
}

async function ensureCrd(api: KubeApi, text: string): Promise<'installed' | 'found'> {
  const wanted = Bun.YAML.parse(text) as CustomResourceDefinition
  const { name } = wanted.metadata
  try {
    const applied = await api.apply(CUSTOM_RESOURCE_DEFINITIONS, wanted, { fieldManager: FIELD_MANAGER, force: true })
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

function isServed(definition: CustomResourceDefinition): boolean {
  return (definition.status?.conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True')
}
