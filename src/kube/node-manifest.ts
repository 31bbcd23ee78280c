/**
 * The DaemonSet of nodes for one cluster: config/node-daemonset.yaml with what the operator says of
 * it. Pure.
 */
import template from '../../config/node-daemonset.yaml' with { type: 'text' }
import { parseNodeSelector } from '../lib/node-selector.ts'

/** `edgeNodes`: the nodes that it runs on, a selector that parses; undefined: all. */
export function nodeManifest({ image, edgeNodes }: { image: string; edgeNodes: string | undefined }): string {
  return template
    .replaceAll('image: terway-edge:VERSION', () => `image: ${JSON.stringify(image)}`)
    .replace('        nodeAffinity: {}', () => `        nodeAffinity: ${JSON.stringify(onlyOn(edgeNodes))}`)
}

function onlyOn(edgeNodes: string | undefined): object {
  const parsed = edgeNodes === undefined ? undefined : parseNodeSelector(edgeNodes)
  if (parsed === undefined || !('selector' in parsed) || parsed.selector.kind === 'all') return {}
  const matchExpressions = parsed.selector.requirements.map(({ key, operator, values }) => ({
    ...{ key, operator },
    ...(values.length > 0 && { values }),
  }))
  return { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } }
}
