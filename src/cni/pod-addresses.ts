/** The addresses of elastic network interfaces that pods have, as the records say. Pure. */
import type { Attachments } from './attachments.ts'

export interface PodAddress {
  readonly address: string
  readonly hostInterface: string
  /** Of the elastic network interface. */
  readonly mac: string
}

export function podAddresses({ records }: Pick<Attachments, 'records'>): PodAddress[] {
  return records.flatMap(({ addresses, hostInterface, interface: eni }) =>
    eni === undefined ? [] : addresses.map(address => ({ address, hostInterface, mac: eni.mac })),
  )
}
