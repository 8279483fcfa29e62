"""Brazilian Portuguese."""

from typing import Final

from models.features.phrases import Phrase

NOUN: Final = {
    "customer": "cliente",
    "card": "cartão",
    "merchant": "estabelecimento",
    "device": "dispositivo",
    "ip": "endereço IP",
    "category": "categoria do estabelecimento",
    "country": "país",
    "currency": "moeda",
    "place": "localidade",
}
PLURAL: Final = {
    "customer": "clientes",
    "card": "cartões",
    "merchant": "estabelecimentos",
    "device": "dispositivos",
    "ip": "endereços IP",
    "category": "categorias de estabelecimento",
    "country": "países",
}
WHERE: Final = {
    "customer": "deste cliente",
    "card": "com este cartão",
    "merchant": "neste estabelecimento",
    "device": "neste dispositivo",
    "ip": "neste endereço IP",
    "category": "nesta categoria de estabelecimento",
    "country": "neste país",
    "currency": "nesta moeda",
    "place": "nesta localidade",
}
SPAN: Final = {
    "1h": "na última hora",
    "6h": "nas últimas 6 horas",
    "24h": "nas últimas 24 horas",
    "7d": "nos últimos 7 dias",
    "14d": "nos últimos 14 dias",
    "30d": "nos últimos 30 dias",
    "90d": "nos últimos 90 dias",
}
_SHORT_SPAN: Final = {
    "1h": "1 hora",
    "6h": "6 horas",
    "24h": "24 horas",
    "7d": "7 dias",
    "14d": "14 dias",
    "30d": "30 dias",
    "90d": "90 dias",
}
GROUPS: Final = {
    "amount": "valor",
    "amount_history": "valor em relação ao histórico do cliente",
    "limits": "valores logo abaixo de um limite",
    "customer_activity": "atividade do cliente",
    "card_activity": "atividade do cartão",
    "merchant_activity": "atividade do estabelecimento",
    "device_activity": "atividade do dispositivo",
    "ip_activity": "atividade do endereço IP",
    "rhythm": "ritmo do cliente",
    "novelty": "primeiro uso",
    "sharing": "compartilhamento entre clientes, cartões e dispositivos",
    "category": "categoria do estabelecimento",
    "place": "lugar e distância",
    "time": "horário da transação",
    "merchant_fraud": "histórico de fraude do estabelecimento",
    "customer_fraud": "histórico de fraude do cliente",
    "device_fraud": "histórico de fraude do dispositivo",
    "card_fraud": "histórico de fraude do cartão",
    "ip_fraud": "histórico de fraude do endereço IP",
    "category_fraud": "histórico de fraude da categoria do estabelecimento",
    "country_fraud": "histórico de fraude do país",
    "currency_fraud": "histórico de fraude da moeda",
    "place_fraud": "histórico de fraude da localidade",
}
NOT_KNOWN: Final = "não se sabe para esta transação"
NOTHING_EARLIER: Final = "não há transação anterior deste cliente para comparar"
_FEMININE: Final = ("category", "currency", "place")
_CONSTRUCTED: Final = {
    "customer": "do cliente",
    "card": "do cartão",
    "merchant": "do estabelecimento",
    "device": "do dispositivo",
    "ip": "do endereço IP",
    "category": "da categoria",
}


def names_no(subject: str) -> str:
    return f"a transação não informa {NOUN[subject]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def count(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Transações {where}, {_SHORT_SPAN[window]}", f"{{value}} {where} {SPAN[window]}", None, names_no(subject)
    )


def amount(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Valor total {where}, {_SHORT_SPAN[window]}",
        f"{{value}} no total {where} {SPAN[window]}",
        None,
        names_no(subject),
    )


def mean(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Valor médio {where}, {_SHORT_SPAN[window]}",
        f"as transações {where} {SPAN[window]} são de {{value}} em média",
        None,
        names_no(subject),
    )


def largest(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Maior transação {where}, {_SHORT_SPAN[window]}",
        f"a maior transação {where} {SPAN[window]} é de {{value}}",
        None,
        names_no(subject),
    )


def since_previous(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Tempo desde a transação anterior {where}",
        f"{{value}} depois da transação anterior {where}",
        f"no mesmo instante de outra transação {where}",
        f"não se conhece transação anterior {where}",
    )


def new(subject: str) -> Phrase:
    noun, ending = NOUN[subject], "a" if subject in _FEMININE else "o"
    this = "esta" if subject in _FEMININE else "este"
    return Phrase(
        f"{_capital(noun)} nunca vist{ending} antes",
        f"{this} {noun} nunca foi vist{ending} antes",
        f"{this} {noun} já foi vist{ending} antes",
        names_no(subject),
    )


def pair(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Transações anteriores do cliente {where}",
        f"{{value}} deste cliente {where} até então",
        f"primeira transação deste cliente {where}",
        names_no(subject),
    )


def distinct(owner: str, other: str, window: str) -> Phrase:
    others, where = PLURAL[other], WHERE[owner]
    return Phrase(
        f"{_capital(others)} diferentes {where}, {_SHORT_SPAN[window]}",
        f"{others} diferentes {where} {SPAN[window]}: {{value}}",
        None,
        f"a transação não informa {NOUN[owner]} e {NOUN[other]} ao mesmo tempo",
    )


def own_ratio(to: str) -> Phrase:
    title, words = {
        "mean": ("à média", "a média das transações anteriores deste cliente"),
        "median": ("à mediana", "a mediana das transações anteriores deste cliente"),
        "p90": ("ao décimo superior", "o teto de nove em cada dez transações anteriores deste cliente"),
        "max": ("à maior transação", "a maior das transações anteriores deste cliente"),
        "mean_30d": ("à média de 30 dias", "a média deste cliente nos últimos 30 dias"),
    }[to]
    return Phrase(f"Valor em relação {title} do cliente", f"o valor é {{value}} {words}", None, NOTHING_EARLIER)


def own_deviations() -> Phrase:
    return Phrase(
        "Desvios-padrão em relação à média do cliente",
        "o valor está {value} da média das transações anteriores deste cliente",
        None,
        "poucas transações anteriores de valores diferentes deste cliente para comparar",
    )


def mean_24h_to_30d() -> Phrase:
    return Phrase(
        "Média do cliente em 24 horas em relação a 30 dias",
        "a média deste cliente nas últimas 24 horas é {value} a de 30 dias",
    )


def earlier_payments() -> Phrase:
    return Phrase(
        "Transações anteriores do cliente usadas na comparação", "{value} deste cliente para comparar", NOTHING_EARLIER
    )


def own_hours() -> Phrase:
    return Phrase(
        "Parcela das transações do cliente por volta deste horário",
        "{value} das transações anteriores deste cliente ocorreram a até 2 horas deste horário do dia",
        "nenhuma das transações anteriores deste cliente ocorreu a até 2 horas deste horário do dia",
        NOTHING_EARLIER,
    )


def gap_to_own_mean() -> Phrase:
    return Phrase(
        "Tempo desde a transação anterior em relação ao intervalo médio do cliente",
        "o tempo desde a transação anterior é {value} o intervalo médio deste cliente",
        "no mesmo instante da transação anterior do cliente",
        "poucas transações anteriores deste cliente para conhecer o intervalo habitual",
    )


def longest_silence() -> Phrase:
    return Phrase(
        "Maior período sem transações que terminou nas últimas 24 horas",
        "o cliente estava há {value} sem transações antes das realizadas nas últimas 24 horas",
        None,
        NOTHING_EARLIER,
    )


def spikes(window: str) -> Phrase:
    return Phrase(
        f"Transações do cliente de valor fora do comum, {_SHORT_SPAN[window]}",
        f"já houve {{value}} muito acima do valor habitual deste cliente {SPAN[window]}",
        f"nenhuma outra transação muito acima do valor habitual deste cliente {SPAN[window]}",
    )


def to_mean(subject: str) -> Phrase:
    return Phrase(
        f"Valor em relação à média {_CONSTRUCTED[subject]}, 30 dias",
        f"o valor é {{value}} a média {WHERE[subject]} em 30 dias",
        None,
        names_no(subject),
    )


def customer_category_count(window: str) -> Phrase:
    return Phrase(
        f"Transações do cliente nesta categoria, {_SHORT_SPAN[window]}",
        f"{{value}} deste cliente nesta categoria de estabelecimento {SPAN[window]}",
        None,
        names_no("category"),
    )


def to_customer_category_mean() -> Phrase:
    return Phrase(
        "Valor em relação à média do cliente nesta categoria, 30 dias",
        "o valor é {value} a média deste cliente nesta categoria de estabelecimento em 30 dias",
        None,
        names_no("category"),
    )


def category_code() -> Phrase:
    return Phrase(
        "Código da categoria do estabelecimento", "a categoria do estabelecimento", None, names_no("category")
    )


def distance_from_previous() -> Phrase:
    return Phrase(
        "Distância da transação anterior do cliente",
        "a {value} de onde este cliente fez a transação anterior",
        "no mesmo lugar da transação anterior do cliente",
        "não se conhece lugar anterior deste cliente",
    )


def speed_from_previous() -> Phrase:
    return Phrase(
        "Velocidade necessária desde a transação anterior do cliente",
        "chegar até aqui desde a transação anterior exigiria {value}",
        "sem deslocamento desde a transação anterior do cliente",
        "não se conhece lugar anterior deste cliente",
    )


def distance_from_home() -> Phrase:
    return Phrase(
        "Distância de onde o cliente costuma comprar",
        "a {value} do centro da região onde este cliente costuma comprar",
        "exatamente onde este cliente costuma comprar",
        "poucos lugares deste cliente são conhecidos",
    )


def abroad() -> Phrase:
    return Phrase(
        "País do estabelecimento difere do país de cobrança",
        "o país do estabelecimento não é o país de cobrança",
        "o país do estabelecimento é o país de cobrança",
        "a transação não informa os dois países",
    )


def payment_amount() -> Phrase:
    return Phrase("Valor", "o valor é {value}")


def round_amount() -> Phrase:
    return Phrase("Valor redondo", "valor redondo (múltiplo de 50)", "o valor não é redondo")


def just_under() -> Phrase:
    return Phrase(
        "Logo abaixo de um limite redondo",
        "o valor fica logo abaixo de um limite redondo (até 5% abaixo de 100, 500, 1.000, 2.000, 5.000, ...)",
        "o valor não fica logo abaixo de um limite redondo",
    )


def just_under_count(window: str) -> Phrase:
    return Phrase(
        f"Transações do cliente logo abaixo de um limite, {_SHORT_SPAN[window]}",
        f"{{value}} deste cliente logo abaixo de um limite redondo {SPAN[window]}",
        f"nenhuma deste cliente logo abaixo de um limite redondo {SPAN[window]}",
    )


def hour() -> Phrase:
    return Phrase("Hora do dia, UTC", "feita às {value} UTC")


def night() -> Phrase:
    return Phrase(
        "Antes das 07:00 UTC",
        "feita de madrugada (das 00:00 às 07:00 UTC)",
        "não foi feita de madrugada (das 00:00 às 07:00 UTC)",
    )


def weekend() -> Phrase:
    return Phrase("Sábado ou domingo, UTC", "feita no fim de semana", "feita em dia útil")


def weekday() -> Phrase:
    return Phrase("Dia da semana, UTC", "dia da semana: {value}", "dia da semana: segunda-feira")


def labels(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Transações apuradas {where}, {_SHORT_SPAN[window]}",
        f"{{value}} {where} com apuração concluída {SPAN[window]}",
        f"nenhuma transação {where} foi apurada {SPAN[window]}",
        names_no(subject),
    )


def frauds(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Fraudes confirmadas {where}, {_SHORT_SPAN[window]}",
        f"{{value}} {where} com fraude confirmada {SPAN[window]}",
        f"nenhuma fraude {where} confirmada {SPAN[window]}",
        names_no(subject),
    )


def risk(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Parcela de fraude {where}, {_SHORT_SPAN[window]}",
        f"{{value}} das transações {where} apuradas {SPAN[window]} eram fraude",
        f"nenhuma fraude {where} confirmada {SPAN[window]}",
        names_no(subject),
    )


def fraud_run(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Fraudes seguidas {where}",
        f"{{value}} {where} com fraude confirmada e nenhuma legítima desde então",
        f"nenhuma sequência de fraudes em curso {where}",
        names_no(subject),
    )


def fraud_run_age(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Idade da sequência de fraudes {where}",
        f"a sequência de fraudes {where} começou {{value}} antes",
        None,
        f"nenhuma sequência de fraudes em curso {where}",
    )


def since_fraud(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Tempo desde a última fraude conhecida {where}",
        f"{{value}} depois da última fraude conhecida {where}",
        None,
        f"nenhuma fraude {where} conhecida nos últimos {days} dias",
    )


def legitimate_since_fraud(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Transações legítimas {where} desde a última fraude",
        f"{{value}} {where} com desfecho legítimo desde a última fraude conhecida",
        f"nenhuma transação {where} com desfecho legítimo desde a última fraude conhecida",
        f"nenhuma fraude {where} conhecida nos últimos {days} dias",
    )


def unexplained(subject: str, window: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Fraudes de valor habitual {where}, {_SHORT_SPAN[window]}",
        f"{{value}} {where} com fraude confirmada {SPAN[window]} apesar do valor habitual para o cliente",
        f"nenhuma fraude de valor habitual {where} confirmada {SPAN[window]}",
        names_no(subject),
    )


def unexplained_share(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Parcela de fraudes de valor habitual entre as 5 últimas apuradas {where}",
        f"{{value}} das 5 últimas transações apuradas {where} eram fraude de valor habitual",
        f"nenhuma das 5 últimas transações apuradas {where} era fraude de valor habitual",
        f"nenhuma transação {where} foi apurada",
    )


def unexplained_run(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Fraudes seguidas de valor habitual {where}",
        f"{{value}} de valor habitual {where} com fraude confirmada e nenhuma legítima desde então",
        f"nenhuma sequência de fraudes de valor habitual em curso {where}",
        names_no(subject),
    )


def unexplained_run_age(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Idade da sequência de fraudes de valor habitual {where}",
        f"a sequência de fraudes de valor habitual {where} começou {{value}} antes",
        None,
        f"nenhuma sequência de fraudes de valor habitual em curso {where}",
    )


def since_unexplained(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Tempo desde a última fraude de valor habitual {where}",
        f"{{value}} depois da última fraude conhecida de valor habitual {where}",
        None,
        f"nenhuma fraude de valor habitual {where} conhecida nos últimos {days} dias",
    )


def legitimate_since_unexplained(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Transações legítimas {where} desde a última fraude de valor habitual",
        f"{{value}} {where} com desfecho legítimo desde a última fraude de valor habitual",
        f"nenhuma transação {where} com desfecho legítimo desde a última fraude de valor habitual",
        f"nenhuma fraude de valor habitual {where} conhecida nos últimos {days} dias",
    )
