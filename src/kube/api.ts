/**
 * The contract of the door to the API server: what the other rooms ask of it. `client.ts`
 * implements it on @kubernetes/client-node with a transport that works on Bun; tests and the lab
 * may implement it otherwise. Only types and the one error: no HTTP, no retries. Pure.
 */
import type { UnreadFields } from './lean-json.ts'
import type { KubeObject, ObjectReference, ResourceType } from './resources.ts'

/**
 * A refusal by the API server (`status` is the HTTP code, `reason` metav1.Status.reason) or a
 * failure to reach it (`status` 0).
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly reason: string
  constructor(message: string, options: { status: number; reason?: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = options.status
    this.reason = options.reason ?? ''
  }
}

export interface ListOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface ApplyOptions {
  readonly fieldManager: string
  /** Takes over fields that another manager owns. */
  readonly force?: boolean
  readonly subresource?: 'status'
}

export interface KubeApi {
  /** The server's base URL, for messages. */
  readonly server: string
  /** The object, or undefined when there is none (404). */
  get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined>
  /** All objects, read in pages. */
  list<T extends KubeObject>(type: ResourceType, options?: ListOptions): Promise<readonly T[]>
  create<T extends KubeObject>(type: ResourceType, object: T): Promise<T>
  /** Replaces the object; 409 (`Conflict`) when its resourceVersion is not the newest. */
  replace<T extends KubeObject>(type: ResourceType, object: T): Promise<T>
  /** JSON merge patch (RFC 7396). */
  mergePatch<T extends KubeObject>(
    type: ResourceType,
    name: string,
    patch: object,
    options?: { namespace?: string; subresource?: 'status' },
  ): Promise<T>
  /** Server-side apply of exactly the fields in `object`. */
  apply<T extends KubeObject>(type: ResourceType, object: T, options: ApplyOptions): Promise<T>
  /** Deletes; true when there was something to delete. */
  delete(type: ResourceType, name: string, namespace?: string): Promise<boolean>
  /**
   * Deletes the object as it was seen; 409 (`Conflict`) when it has changed since. True when there
   * was something to delete.
   */
  deleteUnchanged(type: ResourceType, object: KubeObject): Promise<boolean>
  /** A list that is kept current by a watch, for ever: reconnects with back-off, relists on 410. */
  cache<T extends KubeObject>(type: ResourceType, options?: CacheOptions<T>): Cache<T>
  /**
   * Resolves when the server answers at all, whatever it says, or its host that there is none;
   * throws `ApiError` when there is silence.
   */
  reach(timeoutMilliseconds: number): Promise<void>
  /** Undefined where the transport does not count. */
  readonly counts?: ApiCounts | undefined
  close(): void
}

/** What the conversation with the server tells of itself. */
export interface ApiCounts {
  readonly requests: number
  /** Requests that failed: no answer, or a refusal. */
  readonly failures: number
  /**
   * How far this machine's clock is ahead of the server's, by the Date of its last answer (RFC 9110
   * section 6.6.1, in whole seconds); negative: behind.
   */
  readonly clockAheadSeconds?: number
}

export interface CacheOptions<T extends KubeObject> extends ListOptions {
  /** Keeps only the fields in use, to save memory. */
  readonly reduce?: (object: T) => T
  /**
   * Fields that nobody reads: they are not even parsed, and `reduce` finds null there. Those of
   * every kind (`metadata.managedFields`) need not be named.
   */
  readonly unread?: UnreadFields
  /** The first list begins when this is settled; absent: at once. */
  readonly begin?: Promise<void>
}

/** Objects by key: `name`, or `namespace/name` for namespaced kinds. */
export interface Cache<T extends KubeObject> {
  /**
   * Whether the first list has come in. Until then `objects` says nothing: not ready is not empty.
   */
  readonly synced: boolean
  readonly objects: ReadonlyMap<string, T>
  /**
   * When the server last answered, in Clock.now() milliseconds; undefined before the first answer.
   */
  readonly lastContact: number | undefined
  /** Why the last try failed, while the server is out of reach. */
  readonly problem: string | undefined
  /**
   * Whether that is so because the server does not know the kind (404): its
   * CustomResourceDefinition is gone.
   */
  readonly kindUnknown: boolean
  /**
   * When the last whole list came in, in Clock.monotonic() milliseconds; undefined before the
   * first.
   */
  readonly listedAt: number | undefined
  /**
   * Calls `listener` after each change (and after the first list), and when `problem` comes or
   * goes. Returns how to stop that.
   */
  onChange(listener: () => void): () => void
  /**
   * Lists anew, for a watch may lag behind what was written; with `since` (Clock.monotonic()
   * milliseconds) only if no list began later than that. Resolves when such a list has come in,
   * however long that takes, or at `close`.
   */
  refresh(since?: number): Promise<void>
  close(): void
}

/**
 * Records core/v1 Events. Equal ones within a while are one Event whose `count` grows; the number
 * per object is bounded.
 */
export interface EventRecorder {
  record(event: KubeEvent): void
  /** Writes what is pending, for at most a few seconds. */
  close(): Promise<void>
}

export interface KubeEvent {
  readonly regarding: ObjectReference
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, from the closed list in the documentation (`FailedEstablish`, …). */
  readonly reason: string
  readonly message: string
  /** Of the Event, for programs. */
  readonly annotations?: Readonly<Record<string, string>>
}
