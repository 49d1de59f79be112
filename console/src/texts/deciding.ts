// Why a decision was not taken, and what to do.
const words = (text: string, remedy = "") => ({ text, remedy });

export const deciding = {
  oneClient: words("These cards are of more than one client.", "Decide them one after another."),
  expired: words("The card has expired. Nothing was released.", "The program must ask again."),
  answeredHere: words("This browser has answered the card before.", "Look at Audit for what became of it."),
  tooLate: words("Your answer came too late: the card was decided, withdrawn or over before. Your word changed nothing.", "Look at Audit for what became of it."),
  nothingToTakeBack: words("This browser approved nothing of that name that could be taken back.", "Look at Leases for what is warm."),
  freezeTime: words("A freeze lasts at most 24 hours.", "Choose a shorter time."),
  wrongCode: words("The code is wrong. The card is denied and nothing was released.", "If it was you who asked: ask again and read the code off that screen."),
  wrongCodeFrozen: words("The code is wrong for the third time within an hour. The card is denied and its client is held for an hour.", "An administrator can lift the hold on the page Clients."),
} as const;
