/** Keeps the wiring of pods in the namespace it is started in; says on stdout what it does. */
import { keepWiring } from '../../src/cni/keep-wiring.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'

const say = (level: string) => (fields: object, phrase: string) =>
  console.log(`${level} ${phrase} ${JSON.stringify(fields)}`)
const log: Log = { debug: () => {}, info: say('info'), warn: say('warn'), error: say('error'), child: () => log }
const [, , stateDir = ''] = process.argv
keepWiring(stateDir, { clock: systemClock, log, onChange: () => {} })
console.log('keeping')
