//! Lists of words too common to search for.

/// The words of `_english_`, Lucene's list.
pub(super) const ENGLISH: &str = "a an and are as at be but by for if in into is it no not of on or such that the their \
                                  then there these they this to was will with";

/// A short list for the named language; empty for languages without one.
pub(super) fn list(name: &str) -> Option<&'static str> {
    Some(match name {
        "_english_" => ENGLISH,
        "_none_" => "",
        "_french_" => {
            "au aux avec ce ces dans de des du elle en et eux il je la le leur lui ma mais me même mes moi mon ne nos notre nous on ou par pas pour qu que qui sa se ses son sur ta te tes toi ton tu un une vos votre vous c d j l à m n s t y été est sont"
        }
        "_german_" => {
            "aber alle als also am an auch auf aus bei bin bis bist da damit dann das dass dein dem den der des die dies doch dort du durch ein eine einem einen einer er es für habe hat hier ich ihr im in ist ja kein mein mit nach nicht noch nur ob oder ohne sehr sein sich sie sind so über um und uns unter vom von vor war was wenn wer wie wir wird zu zum zur"
        }
        "_spanish_" => {
            "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante"
        }
        "_italian_" => {
            "ad al allo ai alla alle con col da dal di del dello della in nel nello su sul per tra contro io tu lui lei noi voi loro mio mi ti ci vi lo la li le gli ne il un uno una ma ed se perché anche come che chi cui non più quale"
        }
        "_portuguese_" => {
            "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo"
        }
        "_dutch_" => {
            "de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft"
        }
        name if name.starts_with('_') && name.ends_with('_') => "",
        _ => return None,
    })
}
