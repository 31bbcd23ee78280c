import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cniConfigFile, removeCniConfig, writeCniConfig } from '../../src/agent/cni-config.ts'

test('written when it differs, readable for the runtime, gone when removed, and no other file touched', async () => {
  const confDir = mkdtempSync(join(tmpdir(), 'te-cni-'))
  try {
    await Bun.write(join(confDir, '99-loopback.conf'), '{}')
    const config = { podCIDRs: ['10.0.1.0/25', 'fd01::/64'], mtu: 1500, stateDir: '/var/lib/terway-edge' }
    expect(writeCniConfig(confDir, config)).toBe(true)
    const { ino, mode } = statSync(cniConfigFile(confDir))
    expect(mode & 0o777).toBe(0o644)
    expect(writeCniConfig(confDir, config)).toBe(false)
    expect(statSync(cniConfigFile(confDir)).ino).toBe(ino)
    const { mtu: _mtu, ...without } = config
    expect(writeCniConfig(confDir, without)).toBe(true)
    expect(JSON.parse(readFileSync(cniConfigFile(confDir), 'utf8'))).toEqual({
      cniVersion: '1.0.0',
      name: 'terway-edge',
      plugins: [{ type: 'terway-edge', podCIDRs: config.podCIDRs, stateDir: config.stateDir }],
    })
    expect(removeCniConfig(confDir)).toBe(true)
    expect(removeCniConfig(confDir)).toBe(false)
    expect(readdirSync(confDir)).toEqual(['99-loopback.conf'])
  } finally {
    rmSync(confDir, { recursive: true })
  }
})
