/** Reads a `network.yaml` that an operator names. Throws a `UserError` of exit status 2. */
import { readFileSync } from 'node:fs'
import { UserError } from '../lib/errors.ts'
import { decodeNetwork, type Network } from '../planner/network.ts'

export function readNetworkFile(file: string): { readonly text: string; readonly network: Network } {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`cannot read ${file} (terway-edge plan init --out ${file} writes a first one)`, {
      exitStatus: 2,
      cause,
    })
  }
  return { text, network: decodeNetwork(text, file) }
}
