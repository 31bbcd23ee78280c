/**
 * An image of Debian's static busybox for container runtimes: containers in tests need no registry.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './namespaces.ts'
import { programPath } from './requires.ts'

/**
 * Writes `folder`/image.tar, as `docker save` does, under the names given. Its command waits for
 * SIGTERM.
 */
export function writeBusyboxImage(folder: string, names: readonly string[]): void {
  const busybox = programPath('busybox')
  if (busybox === undefined) throw new Error('busybox is not on PATH')
  const root = join(folder, 'root')
  mkdirSync(join(root, 'bin'), { recursive: true })
  for (const name of ['etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(root, name))
  run(['cp', busybox, join(root, 'bin/busybox')])
  run([busybox, '--install', '-s', join(root, 'bin')])
  run(['sh', '-c', `cd "${root}/bin" && for link in *; do [ ! -L "$link" ] || ln -sf busybox "$link"; done`])
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  const image = join(folder, 'image')
  mkdirSync(image)
  run(['tar', '--owner=0', '--group=0', '--numeric-owner', '-C', root, '-cf', join(image, 'layer.tar'), '.'])
  const layer = new Bun.CryptoHasher('sha256').update(readFileSync(join(image, 'layer.tar'))).digest('hex')
  const wait = 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done'
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], WorkingDir: '/', Cmd: ['/bin/sh', '-c', wait] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  }
  writeFileSync(join(image, 'config.json'), JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: names, Layers: ['layer.tar'] }]
  writeFileSync(join(image, 'manifest.json'), JSON.stringify(manifest))
  run(['tar', '-C', image, '-cf', join(folder, 'image.tar'), 'manifest.json', 'config.json', 'layer.tar'])
}
