/**
 * What the main thread and the worker say to each other (structured clones). No function and no
 * class passes between them. Pure.
 */
import type { BfdEvent, BfdSessionConfig, BfdSessionView, SuspendedSession } from './bfd-types.ts'
import type { EngineLogFields } from './engine.ts'

export type ToWorker =
  /** First of all. */
  | { readonly kind: 'start'; readonly networkNamespace: string | undefined }
  | { readonly kind: 'sessions'; readonly sessions: readonly BfdSessionConfig[] }
  | { readonly kind: 'resume'; readonly sessions: readonly SuspendedSession[] }
  | { readonly kind: 'suspend'; readonly seconds: ReadonlyMap<string, number> }
  | { readonly kind: 'close' }

export type FromWorker =
  | { readonly kind: 'views'; readonly views: readonly BfdSessionView[] }
  | { readonly kind: 'event'; readonly event: BfdEvent }
  | {
      readonly kind: 'log'
      readonly level: 'debug' | 'info' | 'warn'
      readonly fields: EngineLogFields
      readonly phrase: string
    }
  | { readonly kind: 'suspended'; readonly sessions: readonly SuspendedSession[] }
  | { readonly kind: 'closed' }
