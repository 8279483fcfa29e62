"""`ronda evaluate`: how good is the default model on a file of labelled payments, period after period?"""
