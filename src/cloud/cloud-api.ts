/**
 * The contract of the door to the cloud: what others ask of it. `door.ts` implements it on the
 * cloud's own library; tests may implement it otherwise. Types, and the reading of an answer: no
 * HTTP, no retries, no knowledge of what a code means. Pure.
 */
import type { CloudAction } from './actions.ts'

/**
 * How a call ended. `ok`: it was done. `refused`: the cloud said no, with a code; a status of 500
 * and more says nothing about the effect. `not-sent`: it never left this process. `unknown`: no
 * answer, or none that can be read, so that it may have been done.
 */
export type CloudAnswer =
  | { readonly kind: 'ok'; readonly body: unknown; readonly requestID: string }
  | {
      readonly kind: 'refused'
      readonly code: string
      readonly httpStatus: number
      readonly message: string
      readonly requestID: string
      /** As the cloud asks, in seconds. */
      readonly retryAfterSeconds: number | undefined
    }
  | { readonly kind: 'not-sent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface CloudCall {
  readonly action: CloudAction
  /** For the endpoint. */
  readonly regionID: string
  /** Flat, as `flatParameters` makes them. */
  readonly parameters: Readonly<Record<string, string>>
  /** ClientToken; empty where the action has none. */
  readonly token: string
}

export interface CloudApi {
  /** Makes one call, once. Never throws. */
  call(call: CloudCall): Promise<CloudAnswer>
  close(): void
}
