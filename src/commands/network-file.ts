/** Reads a `network.yaml` that an operator names. */
import { readFileSync } from 'node:fs'
import { errorText, UserError } from '../lib/errors.ts'
import { type ShownPlan, shownPlan } from '../planner/beside.ts'
import { decodeNetwork, type Network } from '../planner/network.ts'

/** Throws a `UserError` of exit status 2. */
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

/** That of a controller's configuration: what is wrong with it is told, and stops nothing. */
export function readShownPlan(file: string): ShownPlan {
  try {
    return shownPlan(readFileSync(file, 'utf8'), file)
  } catch (error) {
    return { problem: `the plan cannot be shown: ${errorText(error)} (plan in the configuration)` }
  }
}
