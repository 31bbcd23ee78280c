/**
 * Where the keys for calls come from, one way chosen explicitly: a role by the service account's
 * OIDC token (RRSA), a Secret, or the RAM role of the instance. The library's default chain is not
 * used: it reads the environment and home folders.
 *
 * What the library does not do is done here: one refresh at a time however many calls wait, at most
 * one question a minute while they are good, and old ones go on while a refresh fails. Nothing here
 * prints a key.
 */
import * as credentialsModule from '@alicloud/credentials'
import type { Clock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'

export interface CloudCredentials {
  readonly accessKeyID: string
  readonly accessKeySecret: Secret
  /** Of credentials that expire. */
  readonly securityToken: Secret | undefined
}

export type CredentialChoice =
  | {
      readonly from: 'oidc'
      readonly roleArn: string
      readonly oidcProviderArn: string
      readonly tokenFile: string
      readonly stsEndpoint?: string
    }
  | { readonly from: 'ram-role'; readonly roleName?: string }
  /** Whatever holds the keys: read again when it is asked. */
  | { readonly from: 'keys'; readonly read: () => Promise<CloudCredentials> }

export interface CredentialSource {
  /** Throws when there are none. */
  get(): Promise<CloudCredentials>
}

/**
 * The cloud's credentials live for an hour or more; the library keeps them until they near their
 * end.
 */
const ASK_AGAIN_MILLISECONDS = 60_000
/** Once refused, the same question is not asked again at once. */
const FAILED_MILLISECONDS = 5_000

export function createCredentialSource(choice: CredentialChoice, clock: Clock): CredentialSource {
  return new SharedSource(choice.from === 'keys' ? choice.read : libraryRead(choice), clock)
}

class SharedSource implements CredentialSource {
  readonly #read: () => Promise<CloudCredentials>
  readonly #clock: Clock
  #known: CloudCredentials | undefined
  #askAt = 0
  #asking: Promise<CloudCredentials> | undefined
  #failure: unknown

  constructor(read: () => Promise<CloudCredentials>, clock: Clock) {
    this.#read = read
    this.#clock = clock
    this.#askAt = clock.monotonic()
  }

  async get(): Promise<CloudCredentials> {
    if (this.#clock.monotonic() < this.#askAt) {
      if (this.#known !== undefined) return this.#known
      throw this.#failure
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return await this.#asking
  }

  async #ask(): Promise<CloudCredentials> {
    try {
      this.#known = await this.#read()
      this.#askAt = this.#clock.monotonic() + ASK_AGAIN_MILLISECONDS
      return this.#known
    } catch (error) {
      this.#failure = error
      this.#askAt = this.#clock.monotonic() + (this.#known === undefined ? FAILED_MILLISECONDS : ASK_AGAIN_MILLISECONDS)
      if (this.#known !== undefined) return this.#known
      throw error
    }
  }
}

type Library = new (
  config: unknown,
) => { getCredential(): Promise<{ accessKeyId?: string; accessKeySecret?: string; securityToken?: string }> }

function libraryRead(choice: Exclude<CredentialChoice, { from: 'keys' }>): () => Promise<CloudCredentials> {
  const module = credentialsModule as unknown as {
    readonly Config: new (fields: object) => unknown
    readonly default: unknown
  }
  const fields =
    choice.from === 'oidc'
      ? {
          type: 'oidc_role_arn',
          roleArn: choice.roleArn,
          oidcProviderArn: choice.oidcProviderArn,
          oidcTokenFilePath: choice.tokenFile,
          roleSessionName: 'terway-edge',
          ...(choice.stsEndpoint === undefined ? {} : { stsEndpoint: choice.stsEndpoint }),
        }
      : {
          type: 'ecs_ram_role',
          disableIMDSv1: true,
          ...(choice.roleName === undefined ? {} : { roleName: choice.roleName }),
        }
  const Credential = classOf<Library>(module.default)
  const library = new Credential(new module.Config(fields))
  return async () => {
    const { accessKeyId, accessKeySecret, securityToken } = await library.getCredential()
    if (!accessKeyId || !accessKeySecret) throw new Error('the credentials are empty')
    return {
      accessKeyID: accessKeyId,
      accessKeySecret: new Secret(accessKeySecret),
      securityToken: securityToken ? new Secret(securityToken) : undefined,
    }
  }
}

/**
 * The default export of these packages is the class from source, and a module that holds the class
 * in an executable.
 */
export function classOf<T>(exported: unknown): T {
  const inner = typeof exported === 'function' ? exported : (exported as { readonly default?: unknown })?.default
  if (typeof inner !== 'function') throw new Error('the library does not export its class')
  return inner as T
}
