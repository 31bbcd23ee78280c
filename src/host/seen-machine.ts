/**
 * What there is of a machine, as far as a plan needs it: files by digest, links by target, units by
 * whether systemd starts them. Types and questions to them; seeing is `look.ts`. Pure.
 */

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export const ROOT: Owner = { uid: 0, gid: 0 }

/** `owner` absent: root. */
export type SeenPath =
  | {
      readonly kind: 'file'
      readonly sha256: string
      readonly mode: number
      readonly owner?: Owner
      /** Of a file that is somebody else's, to which lines are added. */
      readonly text?: string
    }
  | { readonly kind: 'link'; readonly target: string; readonly owner?: Owner }
  | { readonly kind: 'folder'; readonly mode?: number; readonly owner?: Owner }

export interface SeenMachine {
  /** What is there of the paths that were looked at. */
  readonly paths: ReadonlyMap<string, SeenPath>
  /** Units that systemd starts at boot, by path; undefined where no systemd runs. */
  readonly enabled: ReadonlySet<string> | undefined
  /** The user of a node's services; undefined: there is none yet. */
  readonly user?: Owner | undefined
  /** Undefined where an image is prepared: it has no interfaces yet. */
  readonly cloud?: SeenCloud | undefined
}

/** What there is of a machine as an instance of a cloud. */
export interface SeenCloud {
  /** Who made it (DMI). */
  readonly vendor: string
  /** MACs of its interfaces, without those that pods have. */
  readonly own: readonly string[]
  /** The version of its systemd. */
  readonly systemd: number | undefined
}

/** Whether a link to `target` is at `path`. */
export function isLinkTo(seen: SeenMachine, path: string, target: string): boolean {
  const there = seen.paths.get(path)
  return there?.kind === 'link' && there.target === target
}

export function isFileOf(seen: SeenMachine, path: string, sha256: string): boolean {
  const there = seen.paths.get(path)
  return there?.kind === 'file' && there.sha256 === sha256
}

/** SHA-256 of a text or of bytes, in hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(content).digest('hex')
}
