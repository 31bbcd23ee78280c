/**
 * The calls that this project makes of the cloud: ECS 2014-05-26, VPC 2016-04-28 and ENS
 * 2017-11-10, RPC style. One table says of each which product and version it belongs to, whether it
 * changes anything, and whether repeating it with the same ClientToken is safe.
 *
 * Parameters are kept as they are sent: names as in the API's pages, lists numbered (`Tag.1.Key`),
 * everything a text. What is recorded before a call is thus what is sent. No I/O here. Pure.
 */

export type Product = 'ecs' | 'vpc' | 'ens'

/** How to speak of an action: ECS and ENS have some of the same name. */
export type CloudAction = keyof ParametersOf

/** Lists of texts are sent as `Name.1`, lists of objects as `Name.1.Key`. */
type Value = string | number | boolean | readonly string[] | readonly Tag[]

export interface Tag {
  readonly Key: string
  readonly Value: string
}

interface InterfaceOf {
  readonly RegionId: string
  readonly NetworkInterfaceId: string
}

interface Attachment extends InterfaceOf {
  readonly InstanceId: string
}

/** Parameters of each action that are in use. Source: the API pages of ECS, VPC and ENS. */
export interface ParametersOf {
  'ecs:CreateNetworkInterface': {
    readonly RegionId: string
    readonly VSwitchId: string
    readonly SecurityGroupIds: readonly string[]
    readonly InstanceType: 'Secondary'
    /** 1 to 49, beside the primary one. */
    readonly SecondaryPrivateIpAddressCount?: number
    /** 1 to 10. */
    readonly Ipv6AddressCount?: number
    readonly Tag: readonly Tag[]
    readonly NetworkInterfaceName: string
    readonly Description: string
    readonly ResourceGroupId?: string
    /** Always sent: the cloud's own default changed. */
    readonly SourceDestCheck: false
    readonly DeleteOnRelease: boolean
  }
  'ecs:AttachNetworkInterface': Attachment
  'ecs:DetachNetworkInterface': Attachment
  'ecs:DeleteNetworkInterface': InterfaceOf
  'ecs:DescribeNetworkInterfaces': {
    readonly RegionId: string
    readonly VpcId?: string
    readonly InstanceId?: string
    readonly NetworkInterfaceId?: readonly string[]
    /** 10 to 500; 10 when absent. */
    readonly MaxResults: number
    readonly NextToken?: string
  }
  'ecs:AssignPrivateIpAddresses': InterfaceOf & { readonly SecondaryPrivateIpAddressCount: number }
  'ecs:UnassignPrivateIpAddresses': InterfaceOf & { readonly PrivateIpAddress: readonly string[] }
  'ecs:AssignIpv6Addresses': InterfaceOf & { readonly Ipv6AddressCount: number }
  'ecs:UnassignIpv6Addresses': InterfaceOf & { readonly Ipv6Address: readonly string[] }
  'ecs:DescribeInstanceTypes': {
    readonly InstanceTypes: readonly string[]
    readonly MaxResults: number
    readonly NextToken?: string
  }
  'vpc:DescribeVSwitches': {
    readonly RegionId: string
    readonly VSwitchId: string
    readonly PageNumber?: number
    readonly PageSize?: number
  }
  'ens:DescribeNetworkInterfaces': {
    readonly InstanceId: string
    readonly PageNumber: number
    readonly PageSize: number
  }
  'ens:AssignPrivateIpAddresses': { readonly NetworkInterfaceId: string; readonly VSwitchId?: string }
  'ens:UnassignPrivateIpAddresses': {
    readonly NetworkInterfaceId: string
    readonly PrivateIpAddress: readonly string[]
  }
}

export interface ActionFacts {
  readonly product: Product
  readonly version: string
  /** The name in the call. */
  readonly name: string
  /** Whether it changes something in the cloud. */
  readonly changes: boolean
  /** Whether it takes a ClientToken. */
  readonly token: boolean
}

const VERSIONS: Readonly<Record<Product, string>> = { ecs: '2014-05-26', vpc: '2016-04-28', ens: '2017-11-10' }

type Kind = 'reads' | 'changes' | 'changes with token'

const KINDS: { readonly [A in CloudAction]: Kind } = {
  'ecs:CreateNetworkInterface': 'changes with token',
  'ecs:AttachNetworkInterface': 'changes',
  'ecs:DetachNetworkInterface': 'changes',
  'ecs:DeleteNetworkInterface': 'changes',
  'ecs:DescribeNetworkInterfaces': 'reads',
  'ecs:AssignPrivateIpAddresses': 'changes with token',
  'ecs:UnassignPrivateIpAddresses': 'changes',
  'ecs:AssignIpv6Addresses': 'changes with token',
  'ecs:UnassignIpv6Addresses': 'changes',
  'ecs:DescribeInstanceTypes': 'reads',
  'vpc:DescribeVSwitches': 'reads',
  'ens:DescribeNetworkInterfaces': 'reads',
  'ens:AssignPrivateIpAddresses': 'changes',
  'ens:UnassignPrivateIpAddresses': 'changes',
}

/** All actions, for whoever needs every one (rights, limits). */
export const CLOUD_ACTIONS = Object.keys(KINDS) as readonly CloudAction[]

/** What is known of an action. */
export function actionFacts(action: CloudAction): ActionFacts {
  const product = action.slice(0, action.indexOf(':')) as Product
  const kind = KINDS[action]
  return {
    product,
    version: VERSIONS[product],
    name: action.slice(product.length + 1),
    changes: kind !== 'reads',
    token: kind === 'changes with token',
  }
}

/** Parameters as they are sent. */
export function flatParameters<A extends CloudAction>(
  _action: A,
  parameters: ParametersOf[A],
): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(parameters) as [string, Value | undefined][]) {
    if (value === undefined) continue
    if (typeof value === 'object') {
      for (const [index, item] of value.entries()) {
        if (typeof item === 'string') flat[`${name}.${index + 1}`] = item
        else for (const [key, text] of Object.entries(item)) flat[`${name}.${index + 1}.${key}`] = text
      }
    } else flat[name] = String(value)
  }
  return flat
}

/** The texts of a numbered list among flat parameters. */
export function listParameter(parameters: Readonly<Record<string, string>>, name: string): readonly string[] {
  const texts: string[] = []
  for (let number = 1; ; number++) {
    const text = parameters[`${name}.${number}`]
    if (text === undefined) return texts
    texts.push(text)
  }
}
