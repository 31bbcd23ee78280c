/**
 * Bodies of requests: JSON (or the YAML of server-side apply, or protobuf) in, an object or a
 * refusal out.
 *
 * Does not check what is in the object: write.ts does.
 */
import { badRequest, type Failure, isFailure, requireObject } from './failure.ts'
import type { Json, JsonObject } from './json.ts'
import { jsonPatch, mergePatch, strategicMergePatch } from './patch.ts'
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from './protobuf.ts'
import type { PatchType } from './request.ts'

/** What a patch makes of an object. */
export function patchedObject(type: Exclude<PatchType, 'apply'>, live: JsonObject, patch: Json): JsonObject | Failure {
  const patched =
    type === 'json'
      ? jsonPatch(live, patch)
      : type === 'merge'
        ? mergePatch(live, patch)
        : strategicMergePatch(live, patch)
  return isFailure(patched) ? patched : requireObject(patched, 'the patched object')
}

/**
 * The body as JSON, undefined when it is empty; YAML is read too, as kubectl sends it for
 * server-side apply.
 */
export async function decodeJson(request: Request): Promise<Json | Failure | undefined> {
  const type = request.headers.get('content-type') ?? ''
  const bytes = await request.bytes()
  if (bytes.length === 0) return undefined
  if (type.startsWith(PROTOBUF_MEDIA_TYPE)) return decodeProtobuf(bytes)
  const text = new TextDecoder().decode(bytes)
  try {
    const yaml = type.includes('yaml') && !text.trimStart().startsWith('{')
    const value: Json = JSON.parse(yaml ? JSON.stringify(Bun.YAML.parse(text)) : text)
    return value
  } catch (error) {
    return badRequest(`the body is not valid: ${error instanceof Error ? error.message : String(error)}`)
  }
}
