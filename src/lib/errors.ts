/**
 * Errors that a person reads. A message says what happened, to what, and what to do.
 *
 * `UserError` carries the exit status: 1 (it failed), 2 (wrong usage or configuration, every
 * problem listed). What a protocol can answer is not an error here but a value of that protocol.
 * Pure.
 */

/**
 * One thing wrong with an input: where (`network.podCIDRs[1]`, `spec.peerIP`) and what to do about
 * it.
 */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** An error to print without a stack trace; `exitStatus` becomes that of the process. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly exitStatus: 1 | 2
  constructor(message: string, options: { exitStatus?: 1 | 2; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.exitStatus = options.exitStatus ?? 1
  }
}

/**
 * The `UserError` for a document with problems: all of them in one message, a line each with its
 * path.
 */
export function problemsError(document: string, problems: readonly Problem[]): UserError {
  const lines = problems.map(({ path, message }) => `  ${path === '' ? '' : `${path}: `}${message}`)
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new UserError(`${document} has ${count}:\n${lines.join('\n')}`, { exitStatus: 2 })
}

/**
 * The message of anything thrown, with the messages of its causes: `cannot read x: ENOENT: no such
 * file`.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.cause === undefined) return error.message
  return `${error.message}: ${errorText(error.cause)}`
}

/** The `code` of a system error (`ENOENT`, `ECONNREFUSED`), if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/**
 * Whether anything in the chain of causes says that a disk takes no data: it is full, over its
 * quota, or read-only.
 */
export function isUnwritable(error: unknown): boolean {
  if (['ENOSPC', 'EDQUOT', 'EROFS'].includes(errorCode(error) ?? '')) return true
  return error instanceof Error && error.cause !== undefined && isUnwritable(error.cause)
}
