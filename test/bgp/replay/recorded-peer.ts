/**
 * A peer's configuration in a recording: as it is, with the password of the test in clear. Pure.
 */
import type { PeerConfig } from '../../../src/bgp/speaker-types.ts'
import { Secret } from '../../../src/lib/secret.ts'

export type RecordedPeer = Omit<PeerConfig, 'password'> & { readonly password?: string }

export function toRecorded({ password, ...peer }: PeerConfig): RecordedPeer {
  return { ...peer, ...(password !== undefined && { password: password.reveal() }) }
}

export function fromRecorded({ password, ...peer }: RecordedPeer): PeerConfig {
  return { ...peer, ...(password !== undefined && { password: new Secret(password) }) }
}
