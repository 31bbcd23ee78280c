/**
 * What the cloud said no to for one node: it is left alone for as long as the code says, told once,
 * and remembered as the node's last error.
 */
import type { ENIOperation } from '../kube/eni-node.ts'
import type { Scope, Verdict } from './cloud-errors.ts'
import { verdictText } from './controller-conditions.ts'
import type { NodeRecord } from './controller-record.ts'
import type { WorkerShared } from './controller-shared.ts'
import { blockedActionOf, targetOf } from './operations.ts'
import { looksAt, newInterfaceOf, securityGroupsOf } from './plan-cards.ts'

export class Refusals {
  readonly #shared: WorkerShared
  readonly #record: NodeRecord
  /** What is wrong with the cloud itself: rights, or it is out of reach. */
  access: { readonly action: string; readonly verdict: Verdict } | undefined
  lastError: string | undefined

  constructor(shared: WorkerShared, record: NodeRecord) {
    this.#shared = shared
    this.#record = record
  }

  /** Of a changing call, or, without `operation`, of a reading one. */
  add(action: string, verdict: Verdict, operation?: ENIOperation): void {
    const { event, log } = this.#shared
    const { name } = this.#record
    const read = verdictText(action, verdict)
    const news = operation === undefined ? this.lastError !== read : this.#block(verdict, operation)
    const text =
      operation === undefined
        ? read
        : verdictText(`${action} (${describe(operation, this.#vSwitchOf(operation))})`, verdict)
    if (verdict.kind === 'rights' || verdict.code === '') this.access = { action, verdict }
    this.lastError = text
    if (!news || !verdict.tell) return
    log.warn({ node: name, reason: verdict.code, detail: text }, 'the cloud refused a call')
    event(name, 'Warning', verdict.reason, text)
  }

  /**
   * Also the interface itself, where a call like this one is made without a look at the scope: a
   * code may come in a place that no page names. Whether that is news.
   */
  #block(verdict: Verdict, operation: ENIOperation): boolean {
    const { blocks, clock } = this.#shared
    const now = clock.monotonic()
    const target = targetOf(operation)
    if (target !== undefined && !looksAt(operation.action, verdict.scope))
      blocks.add(target, { ...verdict, scope: 'interface' }, now)
    return blocks.add(this.#idOf(verdict.scope, operation), verdict, now)
  }

  /** What of a scope the refusal of a call is about. */
  #idOf(scope: Scope, operation: ENIOperation): string {
    const spec = this.#record.node?.spec
    switch (scope) {
      case 'action':
        return blockedActionOf(spec?.platform, operation.action)
      case 'interface':
        return targetOf(operation) ?? newInterfaceOf(spec?.instanceID ?? '')
      case 'vswitch':
        return this.#vSwitchOf(operation)
      case 'security-group':
        return securityGroupsOf(spec)
      case 'instance':
        return spec?.instanceID ?? ''
      case 'account':
        return ''
    }
  }

  /** The vSwitch that a refusal is about: of the creation, or of the interface. */
  #vSwitchOf(operation: ENIOperation): string {
    const { VSwitchId } = operation.parameters
    if (VSwitchId !== undefined) return VSwitchId
    return this.#record.recorded.interfaces.find(({ id }) => id === targetOf(operation))?.vSwitchID ?? ''
  }
}

function describe({ parameters }: ENIOperation, vSwitchID: string): string {
  return [parameters.NetworkInterfaceId, vSwitchID].filter(text => text !== undefined && text !== '').join(', ')
}
