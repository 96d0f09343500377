// How arrays travel to and from PostgreSQL, for the element types in use.
//
// postgres.js would ask the server for all array types on every new connection, and nobody waits for that query: when
// the connection breaks under it, the rejection ends the whole process. So it is told here, and asks nothing.
type Element = {
  element: number
  array: number
  serialize?: (value: never) => string
  parse?: (text: string) => unknown
}

/** By the numbers that every PostgreSQL has for them (pg_type.oid). Without functions: as text. */
const elements: Record<string, Element> = {
  bool: {
    element: 16,
    array: 1000,
    serialize: (value: boolean) => String(value),
    parse: text => text === 't'
  },
  bytea: {
    element: 17,
    array: 1001,
    serialize: (value: Uint8Array) => `\\x${Buffer.from(value).toString('hex')}`,
    parse: text => Buffer.from(text.slice(2), 'hex')
  },
  name: { element: 19, array: 1003 },
  int8: { element: 20, array: 1016 },
  int2: { element: 21, array: 1005, parse: Number },
  int4: { element: 23, array: 1007, parse: Number },
  text: { element: 25, array: 1009 },
  varchar: { element: 1043, array: 1015 },
  timestamptz: {
    element: 1184,
    array: 1185,
    serialize: (value: Date | string) => (typeof value === 'string' ? value : value.toISOString()),
    parse: text => new Date(text)
  },
  uuid: { element: 2950, array: 2951 },
  jsonb: {
    element: 3802,
    array: 3807,
    serialize: (value: unknown) => JSON.stringify(value),
    parse: JSON.parse
  }
}

/** The `types` option of postgres.js. */
export const arrayTypes = Object.fromEntries(
  Object.entries(elements).map(([name, { array, serialize, parse }]) => [
    `${name}Array`,
    {
      to: array,
      from: [array],
      serialize: (values: unknown) => serializeArray(values, serialize ?? String),
      parse: (text: string) => parseArray(text, parse ?? String)
    }
  ])
)

/** Which array type belongs to which element type, for `sql.array`. */
export const arrayOfElement = Object.fromEntries(
  Object.values(elements).map(({ element, array }) => [element, array])
)

/** Text that is an array literal already passes as it is. @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function serializeArray(values: unknown, serialize: (value: never) => string): unknown {
  if (!Array.isArray(values)) return values
  const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
  return `{${values.map(value => (value === null ? 'NULL' : quote(serialize(value as never)))).join()}}`
}

/** Arrays of one dimension. */
function parseArray(text: string, parse: (text: string) => unknown): unknown[] {
  return [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|[^,]+/gs)].map(([whole, quoted]) => {
    if (quoted !== undefined) return parse(quoted.replace(/\\(.)/gs, '$1'))
    return whole === 'NULL' ? null : parse(whole)
  })
}
