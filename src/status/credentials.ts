/**
 * The files that protect the status interface, as the configuration names them: a bearer token, a
 * certificate with its key, and the CA of the clients. Read once, at start: a file that changes
 * counts after a restart. Who is let in is decided in access.ts.
 */
import { readFileSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import type { StatusTls } from './server.ts'

export interface CredentialFiles {
  readonly tokenFile?: string | undefined
  readonly tls?:
    | { readonly certificate: string; readonly key: string; readonly clientCA?: string | undefined }
    | undefined
}

export interface StatusCredentials {
  readonly token: Secret | undefined
  readonly tls: StatusTls | undefined
}

/** The certificate that it serves with, for who looks when that expires. */
export function servedCertificates({ tls }: CredentialFiles): { readonly what: string; readonly file: string }[] {
  return tls === undefined ? [] : [{ what: 'certificate of the status interface (status.tls)', file: tls.certificate }]
}

/** Throws a UserError of exit status 2 for a file that cannot be read or holds no token. */
export function readStatusCredentials({ tokenFile, tls }: CredentialFiles): StatusCredentials {
  return {
    token: tokenFile === undefined ? undefined : readTokenFile(tokenFile, 'status.tokenFile'),
    tls: tls && {
      cert: read(tls.certificate, 'status.tls.certificate'),
      key: new Secret(read(tls.key, 'status.tls.key')),
      clientCA: tls.clientCA === undefined ? undefined : read(tls.clientCA, 'status.tls.clientCA'),
    },
  }
}

/**
 * The token in a file: one line, no spaces. `path` is where the file was named, for the message.
 */
export function readTokenFile(file: string, path: string): Secret {
  const text = read(file, path).trim()
  if (/^[\x21-\x7e]{16,}$/.test(text)) return new Secret(text)
  throw new UserError(
    `${path}: ${file} does not hold a token: write one line of at least 16 visible ASCII characters, for example with: openssl rand -hex 32`,
    { exitStatus: 2 },
  )
}

function read(file: string, path: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`${path}: cannot read ${file}`, { exitStatus: 2, cause })
  }
}
