/**
 * The ConfigMap eni-config and the nodes' overrides of it, watched one by one: a Node's label names
 * the ConfigMap with its overrides.
 */
import type { Cache, KubeApi } from '../kube/api.ts'
import { CONFIG_MAPS, type KubeObject } from '../kube/resources.ts'
import type { Log } from '../lib/log.ts'
import type { CloudNode } from './cloud-node.ts'
import { type DecodedEniConfig, decodeEniConfig, type EniConfig } from './eni-config.ts'

const ENI_CONFIG = 'eni-config'
/** Names the ConfigMap with a node's overrides. */
const OVERRIDE_LABEL = 'terway-config'
const NAMESPACE = 'kube-system'

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

export interface NodeConfigsOptions {
  readonly api: KubeApi
  readonly log: Log
  readonly wake: () => void
  /** The configuration of the cluster is another than before. */
  readonly onNewConfig: (config: EniConfig) => void
}

export class NodeConfigs {
  readonly #options: NodeConfigsOptions
  readonly #caches = new Map<string, Cache<ConfigMap>>()
  /** By the override's name; empty: without one. */
  readonly #decoded = new Map<
    string,
    { readonly data: ConfigMap['data']; readonly override: ConfigMap['data']; readonly decoded: DecodedEniConfig }
  >()
  readonly #warned = new Set<string>()
  #config: EniConfig | undefined
  #text = ''

  constructor(options: NodeConfigsOptions) {
    this.#options = options
    this.#cache(ENI_CONFIG)
  }

  /** Whether all that these nodes name was read once. What none names is watched no longer. */
  synced(nodes: readonly CloudNode[]): boolean {
    const names = new Set([
      ENI_CONFIG,
      ...nodes.filter(({ mode }) => mode.mode !== 'route').map(({ labels }) => labels[OVERRIDE_LABEL] ?? ''),
    ])
    names.delete('')
    for (const [name, cache] of this.#caches) {
      if (names.has(name)) continue
      cache.close()
      this.#caches.delete(name)
      this.#decoded.delete(name)
    }
    return [...names].map(name => this.#cache(name)).every(({ synced }) => synced)
  }

  /** What holds for a node, or why it cannot be used; keys without effect go to `problems`. */
  of(node: CloudNode, problems: string[]): { config: EniConfig | undefined; problem: string | undefined } {
    const data = this.#data(ENI_CONFIG)
    const name = node.labels[OVERRIDE_LABEL] ?? ''
    const override = name === '' ? undefined : this.#data(name)
    const not = (problem: string) => ({ config: undefined, problem })
    if (data === undefined && node.mode.mode === 'eni-ecs')
      return not(`there is no ConfigMap ${NAMESPACE}/${ENI_CONFIG}`)
    if (name !== '' && override === undefined)
      return not(`there is no ConfigMap ${NAMESPACE}/${name}, which the label ${OVERRIDE_LABEL} of the Node names`)
    const decoded = this.#decode(name, data, override)
    for (const { path, message } of decoded.warnings) {
      const text = `${name === '' ? ENI_CONFIG : name}: ${path} ${message}`
      if (!problems.includes(text)) problems.push(text)
      if (!this.#warned.has(text))
        this.#options.log.warn({ name: path, reason: message }, 'a key of eni-config has no effect')
      this.#warned.add(text)
    }
    if (name === '') this.#noteConfig(decoded.config)
    const texts = decoded.problems.map(({ path, message }) => `${path} ${message}`)
    return { config: decoded.config, problem: texts.length === 0 ? undefined : texts.join('; ') }
  }

  /** Once for all nodes that it holds for, until it changes. */
  #decode(name: string, data: ConfigMap['data'], override: ConfigMap['data']): DecodedEniConfig {
    const known = this.#decoded.get(name)
    if (known !== undefined && known.data === data && known.override === override) return known.decoded
    const decoded = decodeEniConfig(data ?? {}, override === undefined ? undefined : { name, data: override })
    this.#decoded.set(name, { data, override, decoded })
    return decoded
  }

  close(): void {
    for (const cache of this.#caches.values()) cache.close()
  }

  #noteConfig(config: EniConfig | undefined): void {
    if (config === undefined || config === this.#config) return
    this.#config = config
    const text = JSON.stringify(config)
    if (text === this.#text) return
    this.#text = text
    this.#options.onNewConfig(config)
  }

  #data(name: string): ConfigMap['data'] {
    return this.#caches.get(name)?.objects.get(`${NAMESPACE}/${name}`)?.data
  }

  #cache(name: string): Cache<ConfigMap> {
    const known = this.#caches.get(name)
    if (known !== undefined) return known
    const cache = this.#options.api.cache<ConfigMap>(CONFIG_MAPS, {
      namespace: NAMESPACE,
      fieldSelector: `metadata.name=${name}`,
    })
    cache.onChange(this.#options.wake)
    this.#caches.set(name, cache)
    return cache
  }
}
