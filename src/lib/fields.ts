/**
 * Tables with a row for every field of a type: what is kept by hand for each field (is it compared,
 * what does its change disturb) does not compile until a new field says it too. Pure.
 */

/** A row for each field of `T`, optional ones too. */
export type FieldTable<T, Row> = { readonly [Field in keyof T]-?: Row }

/** The fields of a table, or those whose row is `row`. */
export function fieldsOf<T, Row>(table: FieldTable<T, Row>, row?: Row): readonly (keyof T)[] {
  const names = Object.keys(table) as (keyof T)[]
  return row === undefined ? names : names.filter(name => table[name] === row)
}

/** `from` with these fields alone; one that it does not have stays away. */
export function pickFields<T extends object, Field extends keyof T>(from: T, fields: readonly Field[]): Pick<T, Field> {
  const picked: Partial<Pick<T, Field>> = {}
  for (const field of fields) if (Object.hasOwn(from, field)) picked[field] = from[field]
  return picked as Pick<T, Field>
}
