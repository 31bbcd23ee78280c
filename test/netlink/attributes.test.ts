/** Netlink attributes, written and read. What the kernel makes of them: kernel.test.ts. */
import { expect, test } from 'bun:test'
import { toHex } from '../../src/lib/bytes.ts'
import { Attributes, Encoder } from '../../src/netlink/attributes.ts'

test('attributes are padded to four bytes and keep their own length', () => {
  const encoder = new Encoder(1).textAttribute(3, 'eth0').u32Attribute(4, 1500).u8Attribute(21, 187)
  expect(toHex(encoder.bytes())).toBe(`${'09000300'}${'65746830'}00000000${'08000400'}dc050000${'05001500'}bb000000`)
})

test('nesting mirrors the wire', () => {
  const encoder = new Encoder(1)
  encoder.nested(18, () => {
    encoder.textAttribute(1, 'veth')
    encoder.nested(2, () => encoder.nested(1, () => encoder.u32(7).textAttribute(3, 'x')))
  })
  const data = new Attributes(encoder.bytes()).nested(18)
  expect(data?.text(1)).toBe('veth')
  const peer = data?.nested(2)?.bytes(1)
  expect(peer?.[0]).toBe(7)
  expect(new Attributes(peer?.subarray(4) ?? new Uint8Array()).text(3)).toBe('x')
})

test('an encoder grows without losing what it holds', () => {
  const encoder = new Encoder(1)
  for (let value = 0; value < 1000; value++) encoder.u32Attribute(1, value)
  const bytes = encoder.bytes()
  expect(bytes.length).toBe(8000)
  expect(new DataView(bytes.buffer).getUint32(7996, true)).toBe(999)
})

test('the first error is kept, from nested attributes too, and the rest is still read', () => {
  const encoder = new Encoder()
  encoder.nested(1, () => encoder.bytesAttribute(5, new Uint8Array(3)))
  encoder.bytesAttribute(2, new Uint8Array(2))
  encoder.u32Attribute(3, 9)
  const attributes = new Attributes(encoder.bytes())
  expect(attributes.nested(1)?.u32(5)).toBeUndefined()
  expect(attributes.u32(2)).toBeUndefined()
  expect(attributes.u32(3)).toBe(9)
  expect(attributes.error).toBe('attribute 5 has a value of 3 bytes, 4 expected')
})

test('an attribute longer than the message is an error, never a read past the end', () => {
  const attributes = new Attributes(Uint8Array.of(12, 0, 1, 0, 1, 2, 3, 4))
  expect(attributes.bytes(1)).toBeUndefined()
  expect(attributes.error).toContain('attribute 1 has length 12')
})

test('negative and absent values', () => {
  const attributes = new Attributes(new Encoder().u32Attribute(37, 0xffffffff).bytes())
  expect(attributes.i32(37)).toBe(-1)
  expect(attributes.u32(38)).toBeUndefined()
  expect(attributes.error).toBeUndefined()
})
