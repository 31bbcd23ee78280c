/**
 * What each error code of the cloud means for us: one table. A row says what kind of no it is, what
 * it is about (its scope), how long to leave that alone, and what a person is to buy or change.
 * Sources: error tables of the API pages of ECS and ENS; for what the gateway says, its own pages.
 * A code without a row ends its operation, is tried again slowly and is shown. Pure.
 */
import type { CloudAnswer } from '../cloud/cloud-api.ts'

export type ErrorKind =
  /** Too many calls: this action waits, others go on. */
  | 'throttled'
  /** It may have been done: read back. */
  | 'effect-unknown'
  /** Another task works on that interface: again after seconds. */
  | 'conflict'
  /** The ClientToken is spent: read back, then a new one. */
  | 'token-spent'
  /** The vSwitch has no address left: another one. */
  | 'vswitch-full'
  /** Our count of that interface is wrong: read back, it is full. */
  | 'interface-full'
  /** Our count of that instance is wrong: read back, create nothing for a while. */
  | 'instance-full'
  /** The account or a security group is full. */
  | 'quota'
  /** Not in this state: read back and wait for another. */
  | 'wrong-moment'
  /** What the call is about is not there. */
  | 'gone'
  /** The configuration is wrong. */
  | 'configuration'
  /** Not ours to touch. */
  | 'foreign'
  /** Rights or credentials. */
  | 'rights'
  /** It never left this process. */
  | 'not-sent'
  | 'other'

/** What is to be left alone meanwhile. */
export const SCOPES = ['action', 'interface', 'vswitch', 'security-group', 'instance', 'account'] as const
export type Scope = (typeof SCOPES)[number]

/** Reasons of Events and conditions, a closed list. */
export type ErrorReason =
  | 'Throttled'
  | 'CloudUnreachable'
  | 'VSwitchFull'
  | 'InterfaceFull'
  | 'InstanceFull'
  | 'QuotaExceeded'
  | 'WrongState'
  | 'NotFound'
  | 'WrongConfiguration'
  | 'NotOurs'
  | 'Forbidden'
  | 'CloudError'

export interface ErrorRow {
  readonly kind: ErrorKind
  readonly scope: Scope
  /** Seconds to leave the scope alone. */
  readonly waitSeconds: number
  readonly reason: ErrorReason
  /** What to do about it, for people. */
  readonly advice: string
}

const MINUTE = 60
const row = (
  kind: ErrorKind,
  [scope, waitSeconds]: readonly [Scope, number],
  reason: ErrorReason,
  advice: string,
): ErrorRow => ({ kind, scope, waitSeconds, reason, advice })

const THROTTLED = row(
  'throttled',
  ['action', MINUTE],
  'Throttled',
  'nothing, calls are slowed down; quotas are per account, region and action, and others of the account may use them up',
)
const UNKNOWN = row('effect-unknown', ['interface', 2], 'CloudUnreachable', 'nothing, what was done is read back')
const VSWITCH_FULL = row(
  'vswitch-full',
  ['vswitch', 10 * MINUTE],
  'VSwitchFull',
  'add a vSwitch of the zone to vswitches of eni-config, or free addresses of this one',
)
const IPV4_FULL = row(
  'interface-full',
  ['interface', 5 * MINUTE],
  'InterfaceFull',
  'nothing, another interface is used',
)
const INSTANCE_FULL = row(
  'instance-full',
  ['instance', MINUTE],
  'InstanceFull',
  'detach interfaces that others attached to the instance, or take a larger instance type',
)
const QUOTA = row(
  'quota',
  ['account', 5 * MINUTE],
  'QuotaExceeded',
  'raise the quota of network interfaces of the account in the region (Quota Center)',
)
const WRONG_MOMENT = row(
  'wrong-moment',
  ['interface', 3],
  'WrongState',
  'nothing, it is tried again when the state has changed',
)
const GONE = row('gone', ['interface', 5], 'NotFound', 'nothing; it was deleted outside of the cluster')
const CONFIGURATION = row('configuration', ['vswitch', 5 * MINUTE], 'WrongConfiguration', 'correct eni-config')
const FOREIGN = row(
  'foreign',
  ['interface', 60 * MINUTE],
  'NotOurs',
  'nothing, the interface belongs to a service of the cloud and is left alone',
)
const RIGHTS = row(
  'rights',
  ['action', 5 * MINUTE],
  'Forbidden',
  'give the role the rights that `terway-edge manifests --part ram-policy` prints, and check the credentials',
)
const ASKED_FOR_ADDRESS = row('wrong-moment', ['interface', 5], 'CloudError', 'nothing; another address is taken')

/** By code. */
export const CLOUD_ERRORS: Readonly<Record<string, ErrorRow>> = {
  Throttling: THROTTLED,
  'Throttling.User': THROTTLED,
  'Throttling.Api': THROTTLED,
  ServiceUnavailable: UNKNOWN,
  InternalError: UNKNOWN,
  'ens.interface.error': UNKNOWN,
  'Operation.Conflict': row('conflict', ['interface', 3], 'WrongState', 'nothing, another task works on the interface'),
  IdempotentFailed: row('token-spent', ['interface', 2], 'CloudError', 'nothing, it is read back'),
  IdempotentParameterMismatch: row(
    'token-spent',
    ['interface', 2],
    'CloudError',
    'report this: a ClientToken was used for two calls',
  ),
  'InvalidVSwitchId.IpNotEnough': VSWITCH_FULL,
  'QuotaExceeded.PrivateIpAddress': VSWITCH_FULL,
  'InvalidOperation.Ipv4CountExceeded': IPV4_FULL,
  'InvalidOperation.Ipv6CountExceeded': IPV4_FULL,
  EniPerInstanceLimitExceeded: INSTANCE_FULL,
  MaxEniCountExceeded: QUOTA,
  SecurityGroupInstanceLimitExceed: row(
    'quota',
    ['security-group', 5 * MINUTE],
    'QuotaExceeded',
    'use an enterprise security group, or add another one to security_groups of eni-config',
  ),
  'InvalidOperation.InvalidEniState': WRONG_MOMENT,
  'InvalidOperation.InvalidEcsState': row(
    'wrong-moment',
    ['interface', MINUTE],
    'WrongState',
    'instances of this type take interfaces only while they are stopped: stop and start the instance',
  ),
  IncorrectInstanceStatus: WRONG_MOMENT,
  IncorrectPrivateIpAddressStatus: WRONG_MOMENT,
  'InvalidEniId.NotFound': GONE,
  'InvalidEcsId.NotFound': GONE,
  'InvalidInstanceId.NotFound': GONE,
  'InvalidPrivateIpAddress.NotFound': GONE,
  'InvalidIp.IpUnassigned': GONE,
  'InvalidIp.IpAssigned': ASKED_FOR_ADDRESS,
  'InvalidPrivateIpAddress.Duplicated': ASKED_FOR_ADDRESS,
  'InvalidIp.IpRepeated': ASKED_FOR_ADDRESS,
  'InvalidOperation.AvailabilityZoneMismatch': row(
    'configuration',
    ['vswitch', 5 * MINUTE],
    'WrongConfiguration',
    'the vSwitch is of another zone than the node: correct vswitches of eni-config',
  ),
  'InvalidOperation.VpcMismatch': row(
    'configuration',
    ['vswitch', 5 * MINUTE],
    'WrongConfiguration',
    'the vSwitch is of another VPC than the node: correct vswitches of eni-config',
  ),
  'InvalidSecurityGroupId.NotFound': row(
    'configuration',
    ['security-group', 5 * MINUTE],
    'WrongConfiguration',
    'correct security_groups of eni-config',
  ),
  'InvalidVSwitchId.NotFound': row(
    'configuration',
    ['vswitch', 5 * MINUTE],
    'WrongConfiguration',
    'correct vswitches of eni-config',
  ),
  'InvalidVSwitchId.IpInvalid': CONFIGURATION,
  'InvalidOperation.EniServiceManaged': FOREIGN,
  'InvalidOperation.InvalidEniType': FOREIGN,
  'InvalidOperation.InstanceNotSupport': row(
    'configuration',
    ['instance', 60 * MINUTE],
    'WrongConfiguration',
    'this instance takes no further addresses: use another instance type',
  ),
  'Forbidden.RAM': RIGHTS,
  'Forbidden.SubUser': RIGHTS,
  NoPermission: RIGHTS,
  'Abs.InvalidAccount.NotFound': RIGHTS,
  'InvalidAccessKeyId.NotFound': RIGHTS,
  'InvalidSecurityToken.Expired': RIGHTS,
  SignatureDoesNotMatch: RIGHTS,
}

/** Families of codes of which not every member has a page. The first that matches counts. */
const FAMILIES: readonly (readonly [RegExp, ErrorRow])[] = [
  [/Throttling|FlowControl/i, THROTTLED],
  [/IpNotEnough/, VSWITCH_FULL],
  [
    /^(Forbidden|NoPermission|Unauthorized|InvalidAccessKey|InvalidSecurityToken|Signature|MissingSecurityToken|IncompleteSignature)/,
    RIGHTS,
  ],
  [/^(InternalError|ServiceUnavailable)/, UNKNOWN],
  [
    /^InvalidSecurityGroup/,
    row('configuration', ['security-group', 5 * MINUTE], 'WrongConfiguration', 'correct security_groups of eni-config'),
  ],
  [/^InvalidVSwitch/, CONFIGURATION],
  [/(Quota|Limit|Count)Exceed/i, QUOTA],
]

const OTHER = row('other', ['interface', 5 * MINUTE], 'CloudError', 'look the code up in the API page of the action')

/** The row of a code. `httpStatus` decides for codes that nobody documents. */
export function errorRow(code: string, httpStatus: number): ErrorRow {
  const known = Object.hasOwn(CLOUD_ERRORS, code) ? CLOUD_ERRORS[code] : undefined
  if (known !== undefined) return known
  if (httpStatus >= 500) return UNKNOWN
  if (httpStatus === 429) return THROTTLED
  return FAMILIES.find(([pattern]) => pattern.test(code))?.[1] ?? OTHER
}

/** How a call that was not done ended, judged. */
export interface Verdict extends ErrorRow {
  /** As the cloud spells it; empty where it did not answer. */
  readonly code: string
  readonly message: string
  /** Whether it is told to people: what mends itself within seconds is not. */
  readonly tell: boolean
}

const TOLD: ReadonlySet<ErrorKind> = new Set([
  'vswitch-full',
  'instance-full',
  'quota',
  'configuration',
  'rights',
  'other',
])

/** Seconds: what says more is asked again all the same, as all nodes may wait for it. */
const LONGEST_RETRY_AFTER = 5 * MINUTE

/**
 * What to make of an answer that is not `ok`. `now` (Clock.now() milliseconds): a minute in which
 * there were too many calls ends at the next full one, unless the cloud says when.
 */
export function judge(answer: Exclude<CloudAnswer, { kind: 'ok' }>, now: number): Verdict {
  if (answer.kind === 'unknown') return { ...UNKNOWN, code: '', message: answer.reason, tell: false }
  if (answer.kind === 'not-sent') {
    const away = row(
      'not-sent',
      ['action', 15],
      'CloudUnreachable',
      'check endpoints and credentials of cloud in the configuration of the controller',
    )
    return { ...away, code: '', message: answer.reason, tell: true }
  }
  const found = errorRow(answer.code, answer.httpStatus)
  const untilNextMinute = Math.ceil((MINUTE * 1000 - (now % (MINUTE * 1000))) / 1000)
  const { retryAfterSeconds: said } = answer
  const retryAfter = said === undefined ? undefined : Math.min(said, LONGEST_RETRY_AFTER)
  const waitSeconds =
    found.kind === 'throttled' ? (retryAfter ?? untilNextMinute) : Math.max(found.waitSeconds, retryAfter ?? 0)
  return { ...found, waitSeconds, code: answer.code, message: answer.message, tell: TOLD.has(found.kind) }
}
