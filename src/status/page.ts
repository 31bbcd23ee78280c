/**
 * The files of the page (`ui/`), the same from source and from the executable: `bun build` bundles
 * the HTML import and embeds what comes out; from source the bundler runs once, when the page is
 * first asked for. Nothing is read from a folder that a request names.
 */
import { basename } from 'node:path'
import page from '../../ui/index.html'

export interface PageFile {
  readonly type: string
  readonly body: Blob
}

/** The files by path: `/` and what it links to. */
export type PageFiles = ReadonlyMap<string, PageFile>

let files: Promise<PageFiles> | undefined

export function pageFiles(): Promise<PageFiles> {
  files ??= page.files === undefined ? bundle(page.index) : Promise.resolve(embedded(page.files))
  return files
}

function embedded(list: NonNullable<typeof page.files>): PageFiles {
  return new Map(
    list.map(({ path, loader, headers }) => [
      loader === 'html' ? '/' : `/${basename(path)}`,
      { type: headers['content-type'] ?? 'application/octet-stream', body: Bun.file(path) },
    ]),
  )
}

async function bundle(index: string): Promise<PageFiles> {
  const { outputs } = await Bun.build({ entrypoints: [index], target: 'browser' })
  return new Map(
    outputs.map(output => [
      output.path.endsWith('.html') ? '/' : `/${basename(output.path)}`,
      { type: output.type, body: output },
    ]),
  )
}
