/** Holds the diagram of ARCHITECTURE.md to the state machine. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { fsmDiagram } from '../../../scripts/fsm-diagram.ts'

test('the diagram in ARCHITECTURE.md is the one that step draws (bun scripts/fsm-diagram.ts)', () => {
  expect(readFileSync('ARCHITECTURE.md', 'utf8')).toContain(fsmDiagram())
})
