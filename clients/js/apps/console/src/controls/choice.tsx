import { type ReactNode, useId } from "react";

export interface ChoiceProps {
  readonly title: string;
  readonly disabled: boolean;
  readonly options: readonly { readonly value: string; readonly name: string }[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A few things beside each other, one of which is chosen. */
export function Choice({ title, disabled, options, value, onChange }: ChoiceProps): ReactNode {
  const name = useId();
  return (
    <fieldset className="segments" disabled={disabled}>
      <legend className="visually-hidden">{title}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={value === option.value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.name}</span>
        </label>
      ))}
    </fieldset>
  );
}
