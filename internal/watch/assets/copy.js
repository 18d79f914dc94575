// Buttons that copy the text in front of them.

async function copy(code) {
  const text = code.textContent
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch { /* not allowed here: the old way */ }
  }
  return copyBySelection(text)
}

// Plain http has no navigator.clipboard.
function copyBySelection(text) {
  const area = document.createElement('textarea')
  area.value = text
  area.readOnly = true
  area.className = 'unseen'
  document.body.append(area)
  const before = document.activeElement
  area.select()
  area.setSelectionRange(0, text.length)
  let done = false
  try {
    done = document.execCommand('copy')
  } catch { /* then the person copies what is selected */ }
  area.remove()
  before?.focus({ preventScroll: true })
  return done
}

function select(code) {
  const range = document.createRange()
  range.selectNodeContents(code)
  const selection = getSelection()
  selection.removeAllRanges()
  selection.addRange(range)
}

/** Makes the buttons below root work. They say what happened, also to a screen reader. */
export function copyButtons(root = document) {
  for (const button of root.querySelectorAll('[data-copy]')) {
    const code = button.parentElement.querySelector('code')
    const text = button.querySelector('.copy-text')
    text.setAttribute('aria-live', 'polite')
    let timer
    button.addEventListener('click', async () => {
      const done = await copy(code)
      if (!done) select(code)
      button.dataset.done = done ? 'yes' : 'no'
      text.textContent = done ? 'Copied' : 'Press Ctrl+C'
      clearTimeout(timer)
      timer = setTimeout(() => {
        delete button.dataset.done
        text.textContent = 'Copy'
      }, 2500)
    })
  }
}
