/**
 * The door for BGPPeers: defaults filled in, addresses canonical, numbers in range; what cannot
 * work comes back as problems, each with its path and what to change. The CRD's schema refuses most
 * of it before (bgp-peer-schema.ts has the bounds of both), but a server may know no rules about
 * two fields, and an older CRD may be wider. Looks at one object alone: that its nodes, its Secret
 * and its peer exist is not known here. Pure.
 */
import type { Problem } from '../lib/errors.ts'
import { familyOf, isHostAddress } from '../lib/ip.ts'
import { parseNodeSelector } from '../lib/node-selector.ts'
import { BGP_ROLES } from '../model/session-settings.ts'
import { type BGPPeer, type BGPPeerSpec, COMMUNITY_NAMES } from './bgp-peer.ts'
import { BFD, BGP_PEER_SPEC, BMP, GRACEFUL_RESTART } from './bgp-peer-schema.ts'
import { isFields, SpecReader } from './spec-reader.ts'

export type DecodedBGPPeer = { readonly peer: BGPPeer } | { readonly problems: readonly Problem[] }

const BGP_PEER_DEFAULTS = {
  peerPort: 179,
  holdTimeSeconds: 90,
  connectRetrySeconds: 30,
  restartTimeSeconds: 600,
  minimumIntervalMilliseconds: 300,
  multiplier: 3,
  bmpPort: 11019,
} as const

/** AS numbers that no speaker may have, and why. */
const RESERVED_AS: Readonly<Record<number, string>> = {
  0: 'AS 0 is reserved (RFC 7607)',
  23456: 'AS 23456 is AS_TRANS and stands for 4-octet AS numbers (RFC 6793)',
  65535: 'AS 65535 is reserved (RFC 7300)',
  4294967295: 'AS 4294967295 is reserved (RFC 7300)',
}

/** Decodes what the API server sent. Never throws. */
export function decodeBGPPeer(object: unknown): DecodedBGPPeer {
  if (!isFields(object) || !isFields(object.metadata) || typeof object.metadata.name !== 'string') {
    return { problems: [{ path: 'metadata.name', message: 'is required' }] }
  }
  if (!isFields(object.spec)) return { problems: [{ path: 'spec', message: 'is required' }] }
  const reader = new SpecReader(object.spec, 'spec')
  const spec = readSpec(reader)
  if (reader.problems.length > 0 || spec === undefined) return { problems: reader.problems }
  const { name, uid, generation, creationTimestamp } = object.metadata
  return {
    peer: {
      name,
      uid: typeof uid === 'string' ? uid : '',
      generation: typeof generation === 'number' ? generation : 0,
      ...(typeof creationTimestamp === 'string' ? { createdAt: creationTimestamp } : {}),
      spec,
    },
  }
}

function readSpec(reader: SpecReader): BGPPeerSpec | undefined {
  const localSpeakers = readSpeakers(reader)
  const localAsNumber = readAs(reader, 'localAsNumber')
  const peerIP = reader.required('peerIP') ? readHost(reader, 'peerIP') : undefined
  const peerAsNumber = readAs(reader, 'peerAsNumber')
  const gateway = sameFamily(reader, 'gateway', peerIP)
  const nodeSelector = readSelector(reader)
  const authPassword = readPassword(reader)
  const sourceAddress = sameFamily(reader, 'sourceAddress', peerIP)
  if (sourceAddress !== undefined && sourceAddress === peerIP) reader.problem('sourceAddress', 'is the same as peerIP')
  const ttl = readTtl(reader)
  const bfd = readBfd(reader)
  const bmp = readBmp(reader)
  const role = readRole(reader, localAsNumber, peerAsNumber)
  const nextHopSelf = reader.boolean('nextHopSelf')
  const med = reader.integer('med', BGP_PEER_SPEC.med)
  const rest = {
    peerPort: reader.integer('peerPort', BGP_PEER_SPEC.peerPort) ?? BGP_PEER_DEFAULTS.peerPort,
    holdTimeSeconds: readHoldTime(reader),
    connectRetrySeconds:
      reader.integer('connectRetrySeconds', { ...BGP_PEER_SPEC.connectRetrySeconds, unit: 'seconds' }) ??
      BGP_PEER_DEFAULTS.connectRetrySeconds,
    gracefulRestart: readGracefulRestart(reader),
    passive: reader.boolean('passive') ?? false,
    communities: readCommunities(reader, 'communities', communityProblem),
    largeCommunities: readCommunities(reader, 'largeCommunities', largeCommunityProblem),
  }
  if (localSpeakers === undefined || localAsNumber === undefined || peerIP === undefined) return undefined
  if (peerAsNumber === undefined || nodeSelector === undefined) return undefined
  return {
    localSpeakers,
    localAsNumber,
    peerIP,
    peerAsNumber,
    nodeSelector,
    ...rest,
    ...ttl,
    ...role,
    ...(gateway === undefined ? {} : { gateway }),
    ...(authPassword === undefined ? {} : { authPassword }),
    ...(sourceAddress === undefined ? {} : { sourceAddress }),
    ...(bfd === undefined ? {} : { bfd }),
    ...(bmp === undefined ? {} : { bmp }),
    ...(nextHopSelf === undefined ? {} : { nextHopSelf }),
    ...(med === undefined ? {} : { med }),
  }
}

function readSpeakers(reader: SpecReader): readonly string[] | undefined {
  if (!reader.required('localSpeakers')) return undefined
  const speakers = reader.texts('localSpeakers')?.map(name => name.trim())
  if (speakers === undefined) return undefined
  if (speakers.length === 0) return reader.problem('localSpeakers', 'is empty; name at least one node, better two')
  for (const [index, name] of speakers.entries()) {
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
      reader.problem(
        `localSpeakers[${index}]`,
        `${JSON.stringify(name)} is not the name of a node (see kubectl get nodes)`,
      )
    } else if (speakers.indexOf(name) !== index) {
      reader.problem(`localSpeakers[${index}]`, `${name} is named twice`)
    }
  }
  return speakers
}

function readAs(reader: SpecReader, field: 'localAsNumber' | 'peerAsNumber'): number | undefined {
  if (!reader.required(field)) return undefined
  const value = reader.value(field)
  const reserved = typeof value === 'number' ? RESERVED_AS[value] : undefined
  if (reserved === undefined) return reader.integer(field, BGP_PEER_SPEC[field])
  return reader.problem(field, `${reserved}; a LAN uses a private one, 64512 to 65534 or 4200000000 to 4294967294`)
}

/**
 * An address that can be another host's: not unspecified, loopback, link-local (IPv6), multicast,
 * limited broadcast, or IPv4 in disguise.
 */
function readHost(reader: SpecReader, field: string): string | undefined {
  const address = reader.address(field)
  if (address === undefined) return undefined
  if (familyOf(address) === 'ipv6' && /^fe[89ab]/.test(address)) {
    return reader.problem(field, `${address} is link-local and means nothing without an interface; use another address`)
  }
  if (address.startsWith('::ffff:')) {
    return reader.problem(field, `${address} is an IPv4 address in the form of IPv6; write it as IPv4`)
  }
  return isHostAddress(address) ? address : reader.problem(field, `${address} is not the address of another host`)
}

function sameFamily(
  reader: SpecReader,
  field: 'gateway' | 'sourceAddress',
  peerIP: string | undefined,
): string | undefined {
  const address = readHost(reader, field)
  if (address === undefined || peerIP === undefined || familyOf(address) === familyOf(peerIP)) return address
  return reader.problem(field, `${address} is not of the same address family as peerIP ${peerIP}`)
}

function readSelector(reader: SpecReader): string | undefined {
  if (!reader.required('nodeSelector')) return undefined
  const text = reader.text('nodeSelector')
  if (text === undefined) return undefined
  const parsed = parseNodeSelector(text)
  if ('problem' in parsed) {
    return reader.problem(
      'nodeSelector',
      text.trim() === '' ? parsed.problem : `${JSON.stringify(text)}: ${parsed.problem}`,
    )
  }
  return text
}

function readPassword(reader: SpecReader): BGPPeerSpec['authPassword'] {
  const password = reader.nested('authPassword')
  if (password === undefined) return undefined
  if (!password.required('secretKeyRef')) return undefined
  const reference = password.nested('secretKeyRef')
  if (reference === undefined) return undefined
  const name = reference.required('name') ? reference.text('name') : undefined
  const key = reference.required('key') ? reference.text('key') : undefined
  if (name !== undefined && !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
    reference.problem('name', `${JSON.stringify(name)} is not the name of a Secret`)
  }
  if (key !== undefined && !/^[-._a-zA-Z0-9]+$/.test(key))
    reference.problem('key', `${JSON.stringify(key)} is not a key of a Secret`)
  return name === undefined || key === undefined ? undefined : { secretKeyRef: { name, key } }
}

function readHoldTime(reader: SpecReader): number {
  const seconds = reader.integer('holdTimeSeconds', { ...BGP_PEER_SPEC.holdTimeSeconds, unit: 'seconds' })
  if (seconds === 1 || seconds === 2) {
    reader.problem('holdTimeSeconds', `must be 0 or 3 to 65535 seconds, not ${seconds} (RFC 4271 section 4.2)`)
  }
  return seconds ?? BGP_PEER_DEFAULTS.holdTimeSeconds
}

function readGracefulRestart(reader: SpecReader): BGPPeerSpec['gracefulRestart'] {
  const restart = reader.nested('gracefulRestart')
  const restartTimeSeconds = restart?.integer('restartTimeSeconds', {
    ...GRACEFUL_RESTART.restartTimeSeconds,
    unit: 'seconds',
  })
  const longLivedSeconds = restart?.integer('longLivedSeconds', {
    ...GRACEFUL_RESTART.longLivedSeconds,
    unit: 'seconds',
  })
  return {
    enabled: restart?.boolean('enabled') ?? true,
    restartTimeSeconds: restartTimeSeconds ?? BGP_PEER_DEFAULTS.restartTimeSeconds,
    ...(longLivedSeconds === undefined ? {} : { longLivedSeconds }),
  }
}

function readRole(
  reader: SpecReader,
  localAs: number | undefined,
  peerAs: number | undefined,
): Pick<BGPPeerSpec, 'role'> {
  const text = reader.text('role')
  if (text === undefined) return {}
  const role = BGP_ROLES.find(name => name === text)
  if (role === undefined) {
    reader.problem('role', `${JSON.stringify(text)} is not a role: ${BGP_ROLES.join(', ')} (RFC 9234)`)
  } else if (localAs !== undefined && localAs === peerAs) {
    reader.problem('role', 'is for a device of another AS: remove it, localAsNumber and peerAsNumber are equal')
  }
  return role === undefined ? {} : { role }
}

function readTtl(reader: SpecReader): Pick<BGPPeerSpec, 'ebgpMultihop' | 'ttlSecurity'> {
  const ebgpMultihop = reader.integer('ebgpMultihop', { ...BGP_PEER_SPEC.ebgpMultihop, unit: 'hops' })
  const ttlSecurity = reader.integer('ttlSecurity', { ...BGP_PEER_SPEC.ttlSecurity, unit: 'hops' })
  if (ebgpMultihop !== undefined && ttlSecurity !== undefined) {
    reader.problem(
      'ttlSecurity',
      'cannot be used together with ebgpMultihop; it allows several hops by itself: remove ebgpMultihop',
    )
  }
  return {
    ...(ebgpMultihop === undefined ? {} : { ebgpMultihop }),
    ...(ttlSecurity === undefined ? {} : { ttlSecurity }),
  }
}

function readBfd(reader: SpecReader): BGPPeerSpec['bfd'] {
  const bfd = reader.nested('bfd')
  if (bfd === undefined) return undefined
  const interval = bfd.integer('minimumIntervalMilliseconds', {
    ...BFD.minimumIntervalMilliseconds,
    unit: 'milliseconds',
  })
  return {
    enabled: bfd.boolean('enabled') ?? true,
    minimumIntervalMilliseconds: interval ?? BGP_PEER_DEFAULTS.minimumIntervalMilliseconds,
    multiplier: bfd.integer('multiplier', BFD.multiplier) ?? BGP_PEER_DEFAULTS.multiplier,
  }
}

function readBmp(reader: SpecReader): BGPPeerSpec['bmp'] {
  const bmp = reader.nested('bmp')
  if (bmp === undefined) return undefined
  const address = readHost(bmp, 'address')
  return {
    enabled: bmp.boolean('enabled') ?? true,
    port: bmp.integer('port', BMP.port) ?? BGP_PEER_DEFAULTS.bmpPort,
    ...(address === undefined ? {} : { address }),
  }
}

function readCommunities(
  reader: SpecReader,
  field: 'communities' | 'largeCommunities',
  problemOf: (text: string) => string | undefined,
): readonly string[] {
  const texts = (reader.texts(field) ?? []).map(text => text.trim())
  for (const [index, text] of texts.entries()) {
    const problem = problemOf(text)
    if (problem !== undefined) reader.problem(`${field}[${index}]`, `${JSON.stringify(text)} ${problem}`)
  }
  return [...new Set(texts)]
}

function communityProblem(text: string): string | undefined {
  if (COMMUNITY_NAMES.some(name => name === text) || isNumbers(text, 2, 65535)) return undefined
  return 'is not a community: write two numbers up to 65535, such as 65001:100, or a name such as no-export'
}

function largeCommunityProblem(text: string): string | undefined {
  if (isNumbers(text, 3, 4294967295)) return undefined
  return 'is not a large community: write three numbers up to 4294967295, such as 65001:1:2'
}

/** `count` decimal numbers up to `maximum`, joined by colons, without leading zeros. */
function isNumbers(text: string, count: number, maximum: number): boolean {
  const parts = text.split(':')
  return parts.length === count && parts.every(part => /^(0|[1-9]\d{0,9})$/.test(part) && Number(part) <= maximum)
}
