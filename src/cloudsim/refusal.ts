/** How the simulated cloud says no: code and HTTP status as on the API's pages. Pure. */

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string
  readonly httpStatus: number
  /** x-acs-retry-after, milliseconds. */
  readonly retryAfter: number | undefined

  constructor(code: string, httpStatus: number, message = code, retryAfter?: number) {
    super(message)
    this.code = code
    this.httpStatus = httpStatus
    this.retryAfter = retryAfter
  }
}

/** Throws the refusal unless `good`. */
export function demand(good: boolean, code: string, httpStatus: number, message?: string): asserts good {
  if (!good) throw new Refusal(code, httpStatus, message)
}
