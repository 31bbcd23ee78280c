/**
 * What `install` and `uninstall` do to a machine, as values: a step each, in order. They are
 * decided in `install-plan.ts` and `uninstall-plan.ts`, shown as they are by `--dry-run`, and
 * carried out by `carry-out.ts`. Paths are those of the machine, without `--root`. Pure.
 */

/** What a step is about, the first word of its line. */
export type What = 'executable' | 'kubeconfig' | 'configuration' | 'CNI plugin' | 'network program' | 'unit'

export type Step =
  /** Copies a file whole, from where this process sees it; what stood there is kept as `keepAs`. */
  | {
      readonly do: 'copy'
      readonly what: What
      readonly from: string
      readonly path: string
      readonly keepAs?: string
    }
  | {
      readonly do: 'write'
      readonly what: What
      readonly path: string
      readonly text: string
      readonly mode: number
      /** Where what stood there is kept. */
      readonly keepAs?: string
    }
  | { readonly do: 'link'; readonly what: What; readonly path: string; readonly target: string }
  /** Nothing: it is as it should be, or is somebody else's. */
  | { readonly do: 'leave'; readonly what: What; readonly path: string; readonly why: 'unchanged' | 'kept' }
  | { readonly do: 'make folder'; readonly path: string; readonly mode: number }
  | { readonly do: 'remove'; readonly path: string }
  /** The system user that the services run as. */
  | { readonly do: 'make user'; readonly name: string; readonly line: string }
  | { readonly do: 'remove user'; readonly name: string }
  /**
   * Gives a file, or a folder with all that is in it, to the services' user or to root; `group`:
   * root's, and readable (`mode` `read`) or as `mode` says for the user's group.
   */
  | {
      readonly do: 'hand over'
      readonly path: string
      readonly to: 'user' | 'group' | 'root'
      readonly mode?: number | 'read'
    }
  | { readonly do: 'systemctl'; readonly words: readonly string[] }
  /** Withdraws what the running node announces, in BGP. */
  | { readonly do: 'drain' }
  /** Takes routes, firewall rules, CNI configuration, kernel settings and pods' interfaces away. */
  | { readonly do: 'leave network' }
  | { readonly do: 'say'; readonly text: string }

/** A call of systemctl with these words. */
export function systemctlStep(...words: readonly string[]): Step {
  return { do: 'systemctl', words }
}

/** Whether a step changes anything. */
export function changes(step: Step): boolean {
  return step.do !== 'leave' && step.do !== 'say'
}

/** A step as one line for people: as it will be (`--dry-run`), or as it was done. */
export function stepText(step: Step, tense: 'will' | 'did'): string {
  const say = (will: string, did: string) => (tense === 'will' ? will : did)
  switch (step.do) {
    case 'copy':
    case 'write':
    case 'link':
      return `${step.what.padEnd(14)} ${step.path} (${say('would be written', 'written')})`
    case 'leave':
      return `${step.what.padEnd(14)} ${step.path} (${step.why})`
    case 'make folder':
      return `${'folder'.padEnd(14)} ${step.path} (${say('would be made', 'made')})`
    case 'remove':
      return `${say('would remove', 'removed')} ${step.path}`
    case 'make user':
      return `${'user'.padEnd(14)} ${step.name} (${say('would be made', 'made')})`
    case 'remove user':
      return `${say('would remove', 'removed')} the user ${step.name}`
    case 'hand over': {
      const whom = { user: "the services' user", group: "root and the services' group", root: 'root' }[step.to]
      return `${'owner'.padEnd(14)} ${step.path} (${say('would be', 'now')} of ${whom})`
    }
    case 'systemctl':
      return `${say('would run', 'ran')} systemctl ${step.words.join(' ')}`
    case 'drain':
      return say('would withdraw what this node announces', 'withdrew what this node announced')
    case 'leave network':
      return say(
        "would remove this node's routes, firewall rules, CNI configuration, kernel settings and pods' interfaces",
        'left the network',
      )
    case 'say':
      return step.text
    default:
      return step satisfies never
  }
}
