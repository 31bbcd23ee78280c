/**
 * The controller's Deployment for one cluster: config/controller.yaml with what the operator says
 * of it. Pure.
 */

import { createHash } from 'node:crypto'
import template from '../../config/controller.yaml' with { type: 'text' }
import disruption from '../../config/controller-disruption.yaml' with { type: 'text' }
import metrics from '../../config/controller-metrics.yaml' with { type: 'text' }
import { parseNodeSelector, type Requirement } from '../lib/node-selector.ts'

export interface ControllerManifest {
  readonly image: string
  readonly replicas: number
  /**
   * The nodes that it must not run on: a selector that parses; undefined where nothing tells them.
   */
  readonly edgeNodes: string | undefined
  /** What stands in its configuration file; `status` is put in here. */
  readonly config: object
  /** The text of the network.yaml whose plan it shows beside what is; undefined: none. */
  readonly plan: string | undefined
  /**
   * The Secret with the token that asks for metrics from elsewhere; undefined: from the node alone.
   */
  readonly metricsSecret: string | undefined
  /** Whether the cluster knows PodDisruptionBudgets of policy/v1: Kubernetes 1.21 and newer. */
  readonly disruptionBudget: boolean
}

/** The plan in the ConfigMap. */
export const PLAN_KEY = 'network.yaml'
const CONFIG_FOLDER = '/etc/terway-edge'
const PORT = 9180
const TOKENS = '/etc/terway-edge-metrics'

/** YAML documents. */
export function controllerManifest(wanted: ControllerManifest): string[] {
  const { image, replicas, edgeNodes, config, plan, metricsSecret, disruptionBudget } = wanted
  const open = metricsSecret !== undefined
  const status = { listen: `${open ? '0.0.0.0' : '127.0.0.1'}:${PORT}`, ...(open && { tokenFile: `${TOKENS}/token` }) }
  const planFile = plan === undefined ? {} : { plan: `${CONFIG_FOLDER}/${PLAN_KEY}` }
  const file = indented(Bun.YAML.stringify({ ...config, ...planFile, status }, null, 2))
  const planText = plan === undefined ? '' : `\n  ${PLAN_KEY}: |2\n${indented(plan)}`
  const deployment = replaceAll(template, [
    ['  config.yaml: ""', `  config.yaml: |\n${file}${planText}`],
    ['network.openyurt.io/config: ""', `network.openyurt.io/config: ${sha256(file + planText).slice(0, 16)}`],
    ['  replicas: 2', `  replicas: ${replicas}`],
    ['image: terway-edge:VERSION', `image: ${JSON.stringify(image)}`],
    ['        nodeAffinity: {}', `        nodeAffinity: ${JSON.stringify(awayFrom(edgeNodes))}`],
    ...(open ? tokenVolume(metricsSecret) : []),
  ])
  return [deployment, ...(disruptionBudget ? [disruption] : []), ...(open ? [metrics] : [])]
}

/** As a block of YAML under a key of `data`, two columns to the right of it. */
function indented(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, '    ')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function tokenVolume(secret: string): (readonly [string, string])[] {
  const mount = '            - {name: config, mountPath: /etc/terway-edge}'
  const volume = '        - {name: config, configMap: {name: terway-edge-controller}}'
  const source = JSON.stringify({ secretName: secret, items: [{ key: 'token', path: 'token' }] })
  return [
    [mount, `${mount}\n            - {name: metrics, mountPath: ${TOKENS}}`],
    [volume, `${volume}\n        - {name: metrics, secret: ${source}}`],
  ]
}

/**
 * Not (a and b) is (not a) or (not b): a term each, of which one must hold. Where all nodes are
 * edge nodes there is no other.
 */
function awayFrom(edgeNodes: string | undefined): object {
  const parsed = edgeNodes === undefined ? undefined : parseNodeSelector(edgeNodes)
  if (parsed === undefined || !('selector' in parsed) || parsed.selector.kind === 'all') return {}
  const nodeSelectorTerms = parsed.selector.requirements.map(requirement => ({ matchExpressions: [not(requirement)] }))
  return { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
}

const OPPOSITES = { In: 'NotIn', NotIn: 'In', Exists: 'DoesNotExist', DoesNotExist: 'Exists' } as const

function not({ key, operator, values }: Requirement): object {
  return { key, operator: OPPOSITES[operator], ...(values.length > 0 && { values }) }
}

/** Each text stands in the document once. */
function replaceAll(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((changed, [from, to]) => changed.replace(from, () => to), text)
}
