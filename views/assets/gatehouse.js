// Small comforts; every page works without them.

// A password can be looked at while it is typed.
for (const button of document.querySelectorAll('button.reveal')) {
  const input = document.getElementById(button.getAttribute('aria-controls'))
  button.hidden = false
  const show = shown => {
    input.type = shown ? 'text' : 'password'
    button.setAttribute('aria-pressed', String(shown))
    button.textContent = shown ? 'Hide' : 'Show'
  }
  button.addEventListener('click', () => show(input.type === 'password'))
  // A field left as text would be kept by the browser among remembered form values.
  input.form.addEventListener('submit', () => show(false))
}

// What only a script can do is not offered without one.
for (const part of document.querySelectorAll('[data-with-script]')) part.hidden = false

for (const button of document.querySelectorAll('button[data-print]')) {
  button.addEventListener('click', () => window.print())
}

// A list is saved as a file that is made here: it is sent to nobody, and fetched from nowhere.
for (const button of document.querySelectorAll('button[data-save]')) {
  button.addEventListener('click', () => {
    const list = document.getElementById(button.dataset.save)
    const lines = [list.dataset.title, '', ...Array.from(list.children, item => item.textContent.trim()), '']
    const link = document.createElement('a')
    link.download = button.dataset.fileName
    link.href = URL.createObjectURL(new Blob([lines.join('\n')], { type: 'text/plain' }))
    link.click()
    // Not at once: the browser may not have begun to read it.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  })
}

// Neighbours here are neighbours on a keyboard.
const keys = 'qwertyuiop asdfghjkl zxcvbnm 1234567890'
const placeOf = character =>
  keys.includes(character) ? keys.indexOf(character) : 100 + character.codePointAt(0)

// How many characters do not go on as the ones before them did: 2 of `aaaaaaaa`, 4 of `abcabcabc`, 2 of `qwertyuiop`.
function countNew(characters) {
  const places = characters.map(placeOf)
  const goesOn = at =>
    Array.from({ length: Math.min(at - 1, 16) }, (_, index) => index + 1).some(distance => {
      const step = places[at] - places[at - distance]
      return Math.abs(step) <= 1 && step === places[at - 1] - places[at - 1 - distance]
    })
  return places.filter((_, at) => !goesOn(at)).length
}

// Whether a password has next to no letters but those of the address and name that stand in the form.
function isMostlyOwn(password, form) {
  const own = [...form.querySelectorAll('input[autocomplete~=username], input[autocomplete=name]')]
    .flatMap(({ value }) => value.toLowerCase().split(/[^\p{L}\p{N}]+/u))
    .filter(word => word.length > 2)
    .sort((a, b) => b.length - a.length)
  const rest = own.reduce((text, word) => text.replaceAll(word, ''), password)
  return rest !== password && rest.replace(/\P{L}/gu, '').length < 4
}

// What is plain to see of a new password. The service knows more, and decides.
function describePassword(input) {
  const password = input.value.normalize('NFC').toLowerCase()
  const characters = [...password]
  const missing = input.minLength - characters.length
  if (characters.length === 0) return ['', '']
  if (missing > 0) return ['short', `Too short: ${missing} more character${missing === 1 ? '' : 's'}`]
  if (characters.length > 256) return ['weak', 'Too long: use at most 256 characters']
  if (countNew(characters) < 0.65 * input.minLength)
    return ['weak', 'Easy to guess: it repeats itself or follows a row']
  if (isMostlyOwn(password, input.form)) return ['weak', 'Easy to guess: it is mostly your name or address']
  return ['good', 'Looks good']
}

for (const input of document.querySelectorAll('input[autocomplete="new-password"]')) {
  const hint = document.createElement('p')
  hint.className = 'strength'
  hint.setAttribute('aria-live', 'polite')
  input.closest('.field').append(hint)
  let timer
  input.addEventListener('input', () => {
    clearTimeout(timer)
    // Read out when the person pauses, not at every key.
    timer = setTimeout(() => {
      const [verdict, text] = describePassword(input)
      hint.dataset.verdict = verdict
      if (hint.textContent !== text) hint.textContent = text
    }, 300)
  })
}

// A second press while the first is under way would send the form twice. The button is not disabled, since a
// disabled button's own value is not sent.
for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', event => {
    if (form.ariaBusy === 'true') event.preventDefault()
    form.ariaBusy = 'true'
    // An answer that never comes must not lock the form.
    setTimeout(() => {
      form.ariaBusy = null
    }, 10_000)
  })
}

// A page that comes back from the browser's memory (the back button) can be sent again.
window.addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form')) form.ariaBusy = null
})
