/**
 * The OCI image (https://github.com/opencontainers/image-spec), made without a registry or a
 * container runtime: a layout with one image for each platform, as a tar file. Nothing is in it but
 * the executable, the libraries that it needs and their loader, CA certificates, a user, and the
 * licences.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { DEBIAN_PACKAGES, unpack } from './debian.ts'
import { emptyFolder, gzip, sha256, tarOf } from './shell.ts'
import { PLATFORMS, type Platform } from './targets.ts'

export interface Image {
  /** A scratch folder. */
  readonly folder: string
  readonly version: string
  readonly commit: string
  /** Of everything in it, in seconds. */
  readonly time: number
  /** The executable of a target. */
  readonly executable: (target: Platform['target']) => string
  /** Text files for /usr/share/doc/terway-edge, by name. */
  readonly documents: Readonly<Record<string, string>>
  /** Default: all. */
  readonly platforms?: readonly Platform[]
}

/** Who the image runs as. */
const USER = '65534:65534'
/**
 * What the executable asks the loader for (readelf -d), and what it may load: names are looked up
 * in glibc itself.
 */
const LIBRARIES = ['libc.so.6', 'libpthread.so.0', 'libdl.so.2', 'libm.so.6', 'libresolv.so.2']

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const MEDIA = 'application/vnd.oci.image'

/**
 * The bytes of the tar file. `docker load` of old versions takes no layout; containerd, podman and
 * newer Docker do.
 */
export function imageTar(image: Image): Uint8Array {
  const layout = emptyFolder(image.folder, 'layout')
  const blobs = join(layout, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const put = (mediaType: string, content: Uint8Array | string): Descriptor => {
    const digest = sha256(content)
    writeFileSync(join(blobs, digest), content)
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(content) }
  }
  const manifests = (image.platforms ?? PLATFORMS).map(platform => ({
    ...manifestOf(image, platform, put),
    platform: { architecture: platform.architecture, os: 'linux' },
  }))
  const list = put(`${MEDIA}.index.v1+json`, json({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests }))
  const name = `localhost/terway-edge:${image.version}`
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': image.version }
  writeFileSync(join(layout, 'index.json'), json({ schemaVersion: 2, manifests: [{ ...list, annotations }] }))
  writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  return tarOf(layout, image.time)
}

function json(value: object): string {
  return JSON.stringify(value)
}

type Put = (mediaType: string, content: Uint8Array | string) => Descriptor

function manifestOf(image: Image, platform: Platform, put: Put): Descriptor {
  const layers = [systemLayer(image, platform), executableLayer(image, platform)]
  const created = new Date(image.time * 1000).toISOString()
  const config = {
    created,
    architecture: platform.architecture,
    os: 'linux',
    config: {
      User: USER,
      Env: ['PATH=/usr/local/bin', 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
      Entrypoint: ['/usr/local/bin/terway-edge'],
      Labels: {
        'org.opencontainers.image.title': 'terway-edge',
        'org.opencontainers.image.version': image.version,
        'org.opencontainers.image.revision': image.commit,
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(layer => `sha256:${sha256(layer)}`) },
    history: [
      { created, created_by: 'libraries, certificates, user' },
      { created, created_by: 'terway-edge' },
    ],
  }
  return put(
    `${MEDIA}.manifest.v1+json`,
    json({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: put(`${MEDIA}.config.v1+json`, json(config)),
      layers: layers.map(layer => put(`${MEDIA}.layer.v1.tar+gzip`, gzip(layer))),
    }),
  )
}

/** What is the same from one version of terway-edge to the next. */
function systemLayer({ folder, time }: Image, { architecture, triplet, loader }: Platform): Uint8Array {
  const root = emptyFolder(folder, `system-${architecture}`)
  const libc = unpackOne('libc6', architecture, folder)
  const certificates = unpackOne('ca-certificates', 'all', folder)
  const libraries = `/usr/lib/${triplet}`
  for (const name of LIBRARIES) copy(join(libc, `/lib/${triplet}`, name), join(root, libraries, name))
  const loaderFile = loader.slice(loader.lastIndexOf('/') + 1)
  copy(join(libc, `/lib/${triplet}`, loaderFile), join(root, libraries, loaderFile))
  chmodSync(join(root, libraries, loaderFile), 0o755)
  // as Debian has them since everything is below /usr
  symlinkSync('usr/lib', join(root, 'lib'))
  if (loader.startsWith('/lib64/')) symlinkSync('usr/lib64', join(root, 'lib64'))
  const link = join(root, 'usr', loader)
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(relative(dirname(link), join(root, libraries, loaderFile)), link)
  writeFile(root, '/etc/passwd', 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n')
  writeFile(root, '/etc/group', 'root:x:0:\nnogroup:x:65534:\n')
  writeFile(root, '/etc/nsswitch.conf', 'hosts: files dns\n')
  writeFile(root, '/etc/ssl/certs/ca-certificates.crt', certificateBundle(certificates))
  copy(join(libc, 'usr/share/doc/libc6/copyright'), join(root, 'usr/share/doc/libc6/copyright'))
  const notice = 'usr/share/doc/ca-certificates/copyright'
  copy(join(certificates, notice), join(root, notice))
  return tarOf(fixModes(root), time)
}

function executableLayer({ folder, time, executable, documents }: Image, platform: Platform): Uint8Array {
  const root = emptyFolder(folder, `executable-${platform.architecture}`)
  const file = join(root, 'usr/local/bin/terway-edge')
  copy(executable(platform.target), file)
  for (const [name, text] of Object.entries(documents)) writeFile(root, `/usr/share/doc/terway-edge/${name}`, text)
  fixModes(root)
  chmodSync(file, 0o755)
  return tarOf(root, time)
}

function unpackOne(name: string, architecture: string, folder: string): string {
  const found = DEBIAN_PACKAGES.find(other => other.name === name && other.architecture === architecture)
  if (found === undefined) throw new Error(`debian.json has no ${name} for ${architecture}`)
  return unpack(found, folder)
}

function certificateBundle(unpacked: string): string {
  const folder = join(unpacked, 'usr/share/ca-certificates/mozilla')
  const files = readdirSync(folder).filter(name => name.endsWith('.crt'))
  return files
    .sort()
    .map(name => readFileSync(join(folder, name), 'utf8').trimEnd())
    .join('\n')
    .concat('\n')
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { dereference: true })
}

function writeFile(root: string, path: string, text: string): void {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** Whatever the umask here: folders and the loader may be entered and run by all, files be read. */
function fixModes(root: string): string {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    else if (entry.isFile()) chmodSync(path, /\/ld-linux/.test(path) ? 0o755 : 0o644)
  }
  return root
}
