/**
 * What the main thread and the worker say to each other (structured clones). No function and no class passes between them.
 * Pure.
 */
import type { BfdEvent, BfdSessionConfig, BfdSessionView } from './bfd-types.ts'
import type { EngineLogFields } from './engine.ts'

export type ToWorker =
  /** First of all. */
  | { readonly kind: 'start'; readonly networkNamespace: string | undefined }
  | { readonly kind: 'sessions'; readonly sessions: readonly BfdSessionConfig[] }
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
  | { readonly kind: 'closed' }
