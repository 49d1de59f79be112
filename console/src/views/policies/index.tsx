import { Page, Skeleton } from "../../ui";

export default function Screen() {
  return (
    <Page title="Policies">
      <Skeleton />
    </Page>
  );
}
