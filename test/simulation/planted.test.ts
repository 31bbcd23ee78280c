/** Every planted defect is found by the simulation, in a copy of the sources that has it. */
import { afterEach, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { PLANTED, plant, playPlanted } from './planted.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

for (const defect of PLANTED) {
  test(`found: ${defect.name} (${defect.file})`, () => {
    const folder = plant(defect)
    folders.push(folder)
    const how =
      typeof defect.by === 'number'
        ? ['--seed', String(defect.by)]
        : ['--script', join(folder, 'test/simulation/cases', `${defect.by}.json`)]
    const { found, text } = playPlanted(folder, how)
    expect({ found, text }).toEqual({ found: true, text })
  }, 300_000)
}
