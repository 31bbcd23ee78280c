/**
 * The CNI configuration file that the node writes: a real folder beside files of others, and the
 * plugins that are chained, found by asking programs that stand in for them. Whether a runtime
 * takes the file is shown in test/e2e.
 */
import { expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cniConfigFile,
  cniConfigText,
  podCIDRProblems,
  removeCniConfig,
  writeCniConfig,
} from '../../src/agent/cni-config.ts'
import { chainedPlugins, missingPlugins } from '../../src/agent/cni-plugins.ts'

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
      cniVersions: ['1.0.0', '1.1.0'],
      name: 'terway-edge',
      plugins: [
        {
          type: 'terway-edge',
          capabilities: { ips: true, mac: true },
          podCIDRs: config.podCIDRs,
          stateDir: config.stateDir,
        },
      ],
    })
    expect(removeCniConfig(confDir)).toBe(true)
    expect(removeCniConfig(confDir)).toBe(false)
    expect(readdirSync(confDir)).toEqual(['99-loopback.conf'])
  } finally {
    rmSync(confDir, { recursive: true })
  }
})

function plugin(folder: string, name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
}

test('plugins that are installed are chained, and no version is offered that one of them does not know', () => {
  const binDir = mkdtempSync(join(tmpdir(), 'te-cni-'))
  const config = { podCIDRs: ['10.0.1.0/25'], stateDir: '/var/lib/terway-edge' }
  const list = () => JSON.parse(cniConfigText({ ...config, chained: chainedPlugins(binDir) }))
  try {
    expect(list().plugins).toHaveLength(1)
    expect(missingPlugins(chainedPlugins(binDir))).toEqual(['portmap', 'bandwidth'])
    plugin(binDir, 'bandwidth', 'echo \'{"supportedVersions":["0.4.0","1.0.0","1.1.0"]}\'')
    plugin(binDir, 'portmap', 'exit 1')
    expect(missingPlugins(chainedPlugins(binDir))).toEqual(['portmap'])
    expect(list().cniVersions).toEqual(['1.0.0', '1.1.0'])
    plugin(binDir, 'portmap', 'echo \'{"supportedVersions":["0.4.0","1.0.0"]}\' # of 2021')
    expect(list()).toMatchObject({
      cniVersion: '1.0.0',
      cniVersions: ['1.0.0'],
      plugins: [
        { type: 'terway-edge' },
        { type: 'portmap', capabilities: { portMappings: true }, snat: true },
        { type: 'bandwidth', capabilities: { bandwidth: true } },
      ],
    })
  } finally {
    rmSync(binDir, { recursive: true })
  }
})

test('a podCIDR of a single address cannot serve pods', () => {
  expect(podCIDRProblems(['10.0.1.0/31', 'fd00::/127'])).toEqual([])
  expect(podCIDRProblems(['10.0.1.5/32', 'fd00::/64', 'fd00::1/128'])).toHaveLength(2)
})
