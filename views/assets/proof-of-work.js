// Where a network tried too often, a form costs work: a number is looked for whose SHA-256, after the challenge's stamp,
// begins with so many zeros. It is found while the person types; without script they wait instead.

// Scripts of one page share their names, so these are kept inside.
;(() => {
  const constants = new Int32Array(64)
  const start = new Int32Array(8)
  const words = new Int32Array(64)

  // FIPS 180-4 §4.2.2, §5.3.3: the first 32 bits of the fractional parts of roots of the first primes.
  const fraction = root => Math.floor((root - Math.floor(root)) * 2 ** 32)
  for (let number = 2, count = 0; count < 64; number++) {
    let prime = true
    for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) prime = false
    if (!prime) continue
    constants[count] = fraction(Math.cbrt(number))
    if (count < 8) start[count] = fraction(Math.sqrt(number))
    count++
  }

  /** The first 32 bits of the SHA-256 of the one block that `words` begins with. */
  function firstWord() {
    for (let i = 16; i < 64; i++) {
      const a = words[i - 15]
      const b = words[i - 2]
      const s0 = ((a >>> 7) | (a << 25)) ^ ((a >>> 18) | (a << 14)) ^ (a >>> 3)
      const s1 = ((b >>> 17) | (b << 15)) ^ ((b >>> 19) | (b << 13)) ^ (b >>> 10)
      words[i] = words[i - 16] + s0 + words[i - 7] + s1
    }
    let [a, b, c, d, e, f, g, h] = start
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
      const one = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + one) | 0
      d = c
      c = b
      b = a
      a = (one + two) | 0
    }
    return (start[0] + a) | 0
  }

  /** Puts a text of at most 55 characters into `words`, padded as FIPS 180-4 §5.1.1 says. */
  function load(text) {
    words.fill(0, 0, 16)
    for (let i = 0; i < text.length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3))
    words[text.length >> 2] |= 0x80 << (24 - 8 * (text.length & 3))
    words[15] = text.length * 8
  }

  /** Looks for the solution in slices that leave the page free to be typed in. */
  function solve(challenge, done) {
    const [bits, , , stamp] = challenge.split('.')
    let counter = 0
    const slice = () => {
      for (const end = performance.now() + 25; performance.now() < end; ) {
        for (const last = counter + 500; counter < last; counter++) {
          load(`${stamp}.${counter}`)
          if (Math.clz32(firstWord()) >= Number(bits)) return done(counter)
        }
      }
      setTimeout(slice)
    }
    slice()
  }

  for (const field of document.querySelectorAll('input[name="challenge"]')) {
    const { form } = field
    const { solution } = form.elements
    const status = form.querySelector('[data-working]')
    let waiting = null
    status.textContent = status.dataset.working
    form.addEventListener('submit', event => {
      if (solution.value !== '') return
      event.preventDefault()
      waiting = { submitter: event.submitter }
      status.textContent = status.dataset.sending
    })
    solve(field.value, counter => {
      solution.value = String(counter)
      status.textContent = status.dataset.done
      if (waiting === null) return
      // Else it would count as a second press, see gatehouse.js.
      form.ariaBusy = null
      form.requestSubmit(waiting.submitter)
    })
  }
})()
